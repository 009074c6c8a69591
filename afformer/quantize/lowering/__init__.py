"""Float ONNX graph, tensor ranges and target -> INT8 ONNX graph.

    model --canonicalize--> canonical float graph --equalise(channel ranges)--> canonical float graph
          --lower(ranges)--> INT8 graph and a report

`canonicalize` rewrites the float graph into the shape that is quantized, `equalise` brings the channels of a tensor to
one range, and ranges are those of the tensors that result (`tensors_to_observe`). `lower` writes the integers in the
target's format: ONNX Runtime's integer operators (`integer.py`) or Q/DQ pairs (`qdq.py`).

The graphs are protobuf messages, indexed by `graph.py`. onnx_ir was tried instead: the same pass had as many lines and
took three times as long, because everything around it (shape inference, ONNX Runtime) takes protobuf.
"""

from afformer.quantize.lowering.equalise import ChannelRanges, equalise, tensors_to_equalise
from afformer.quantize.lowering.lower import canonicalize, lower, tensors_to_observe, units
from afformer.quantize.lowering.result import Conversion, Lowered, LoweringReport, Unit

__all__ = [
    "ChannelRanges",
    "Conversion",
    "Lowered",
    "LoweringReport",
    "Unit",
    "canonicalize",
    "equalise",
    "lower",
    "tensors_to_equalise",
    "tensors_to_observe",
    "units",
]
