"""Float ONNX graph, tensor ranges and target -> INT8 ONNX graph.

    model --prepare--> prepared float graph --lower(ranges)--> INT8 graph and a report

`prepare` rewrites the float graph into the form that is quantized; ranges are those of its tensors
(`tensors_to_observe`). `lower` writes the integers in the target's form: ONNX Runtime's integer operators
(`integer.py`) or Q/DQ pairs (`qdq.py`).
"""

from afformer.quantize.lowering.dispatch import lower, prepare, tensors_to_observe, units
from afformer.quantize.lowering.report import Lowered, Report, Step, Unit

__all__ = ["Lowered", "Report", "Step", "Unit", "lower", "prepare", "tensors_to_observe", "units"]
