"""A float16 model as a float32 model that rounds every value to float16.

ONNX Runtime computes float16 in float32 on CPUs and does not round what is between two operators. This model gives
what a GPU stores: overflow becomes infinite, underflow zero. Sums inside an operator are in float32, as GPUs have them.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper, numpy_helper


def emulated(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every float16 tensor held in float32, rounded to float16 where it is made."""
    made = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    graph = made.graph
    typed = [*graph.value_info, *graph.output]
    halves = {value.name for value in typed if value.type.tensor_type.elem_type == TensorProto.FLOAT16}
    nodes = [new for node in graph.node for new in _rounding(node, halves)]
    weights = [_widened(weight) for weight in graph.initializer]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)
    return made


def _rounding(node: onnx.NodeProto, halves: set[str]) -> list[onnx.NodeProto]:
    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
            attribute.i = TensorProto.FLOAT
    nodes = [node]
    for index, name in enumerate(node.output):
        if name in halves:
            node.output[index] = f"{name}.exact"
            nodes.append(helper.make_node("Cast", [f"{name}.exact"], [f"{name}.rounded"], to=TensorProto.FLOAT16))
            nodes.append(helper.make_node("Cast", [f"{name}.rounded"], [name], to=TensorProto.FLOAT))
    return nodes


def _widened(weight: TensorProto) -> TensorProto:
    if weight.data_type != TensorProto.FLOAT16:
        return weight
    return numpy_helper.from_array(numpy_helper.to_array(weight).astype("float32"), weight.name)
