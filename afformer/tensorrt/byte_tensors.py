"""The graph as TensorRT takes it: the same function, with 8-bit tensors only where it knows them.

TensorRT takes bytes in and puts bytes out, but computes nothing on them: next to such an input or output there must be
a conversion, and nothing else.

1. Transpose(image) -> Cast(float): the cast comes first. It goes element by element, so the two commute.
2. Cast(int64 -> uint8) before the output `classmap`: via float32, which holds class ids exactly.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper


def prepare(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of an exported model that TensorRT takes; the model itself where there is nothing to change."""
    prepared = onnx.ModelProto()
    prepared.CopyFrom(model)
    changed = [_cast_first(prepared.graph), _bytes_from_floats(prepared.graph)]
    if not any(changed):
        return model
    del prepared.graph.value_info[:]  # the types between have changed
    onnx.checker.check_model(prepared, full_check=True)
    return prepared


def _cast_first(graph: onnx.GraphProto) -> bool:
    """Case 1."""
    inputs = {value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.UINT8}
    for turn in graph.node:
        readers = [node for node in graph.node if turn.output[0] in node.input]
        if turn.op_type == "Transpose" and turn.input[0] in inputs and [r.op_type for r in readers] == ["Cast"]:
            (cast,) = readers
            turn.op_type, cast.op_type = cast.op_type, turn.op_type
            turn.name, cast.name = cast.name, turn.name
            attributes = list(turn.attribute)
            del turn.attribute[:]
            turn.attribute.extend(cast.attribute)
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
