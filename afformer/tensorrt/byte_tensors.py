"""Rewrites a graph so that TensorRT takes its byte input and byte output; the function stays the same.

TensorRT accepts uint8 inputs and outputs, but computes nothing on them: only a conversion may touch such a tensor.

1. Transpose(image) -> Cast(float): the cast moves to the front. A cast works on single elements, so the two commute.
2. Cast(int64 -> uint8) before the output `classmap`: via float32, which holds class ids exactly.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper


def rewrite_byte_tensors(model: onnx.ModelProto) -> onnx.ModelProto:
    """A rewritten copy of an exported model; the model itself if there is nothing to change."""
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    changed = [_cast_first(rewritten.graph), _bytes_from_floats(rewritten.graph)]
    if not any(changed):
        return model
    del rewritten.graph.value_info[:]  # types of inner tensors have changed
    onnx.checker.check_model(rewritten, full_check=True)
    return rewritten


def _cast_first(graph: onnx.GraphProto) -> bool:
    """Case 1."""
    inputs = {value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.UINT8}
    for first in graph.node:
        readers = [node for node in graph.node if first.output[0] in node.input]
        if first.op_type == "Transpose" and first.input[0] in inputs and [r.op_type for r in readers] == ["Cast"]:
            (cast,) = readers
            first.op_type, cast.op_type = cast.op_type, first.op_type
            first.name, cast.name = cast.name, first.name
            attributes = list(first.attribute)
            del first.attribute[:]
            first.attribute.extend(cast.attribute)
            del cast.attribute[:]
            cast.attribute.extend(attributes)
            return True
    return False


def _bytes_from_floats(graph: onnx.GraphProto) -> bool:
    """Case 2."""
    outputs = {value.name for value in graph.output if value.type.tensor_type.elem_type == TensorProto.UINT8}
    ids = {node.output[0] for node in graph.node if node.op_type == "ArgMax"}
    for index, cast in enumerate(graph.node):
        if cast.op_type == "Cast" and cast.output[0] in outputs and cast.input[0] in ids:
            floats = f"{cast.input[0]}.float"
            before = helper.make_node("Cast", [cast.input[0]], [floats], f"{cast.name}.float", to=TensorProto.FLOAT)
            cast.input[0] = floats
            graph.node.insert(index, before)
            return True
    return False
