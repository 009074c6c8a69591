"""float32 ONNX graph -> float16, except for the operators that float16 would make wrong.

Written for the flat, static graphs of this package. A tensor between two operators in float32 stays in float32: the
converter of onnxruntime.transformers stores it as float16 on the way, where it overflows, and clips constants.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT32_OPERATORS = frozenset({"Softmax", "LayerNormalization", "InstanceNormalization", "Resize", "ArgMax", "Max"})
"""Operators that stay in float32.

Softmax over N tokens gives values near 1/N, which is below float16's smallest normal number (6e-5) from N = 16,384 on;
the norms sum squares over up to N values, which exceeds float16's range (65,504).
"""
_FROM_NOTHING = ("Constant", "ConstantOfShape")


def float32_nodes(model: onnx.ModelProto) -> frozenset[str]:
    """Names of the nodes that stay in float32 whatever the weights are.

    The product of the softmax over tokens with V sums N tiny values, so it stays in float32 like the softmax itself.
    """
    nodes = model.graph.node
    softmaxed = {node.output[0] for node in nodes if node.op_type == "Softmax"}
    softmaxed |= {node.output[0] for node in nodes if node.op_type == "Transpose" and node.input[0] in softmaxed}
    return frozenset(n.name for n in nodes if n.op_type in FLOAT32_OPERATORS or softmaxed & set(n.input))


def to_float16(model: onnx.ModelProto, single: Collection[str]) -> onnx.ModelProto:
    """Converts weights and arithmetic to float16; inputs and outputs keep their types.

    Args:
        model: A float32 model; every node has a name.
        single: Names of the nodes that stay in float32.
    """
    inferred: onnx.ModelProto = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    writer = _Writer(inferred)
    for node in inferred.graph.node:
        writer.place(node, half=node.name not in single and node.op_type not in _FROM_NOTHING)
    for output in inferred.graph.output:
        writer.get(output.name, half=False)
    del inferred.graph.node[:], inferred.graph.initializer[:], inferred.graph.value_info[:]
    inferred.graph.node.extend(writer.nodes)
    inferred.graph.initializer.extend(writer.constants.values())
    return onnx.shape_inference.infer_shapes(inferred, strict_mode=True, data_prop=True)


class _Writer:
    """Writes the nodes in their order, and a cast where a tensor is first needed in the other type."""

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        typed = [*graph.input, *graph.output, *graph.value_info]
        self._floats = {v.name for v in typed if v.type.tensor_type.elem_type == TensorProto.FLOAT}
        self._weights = {i.name: i for i in graph.initializer}
        self._floats |= {name for name, weight in self._weights.items() if weight.data_type == TensorProto.FLOAT}
        self._public = {value.name for value in [*graph.input, *graph.output]}
        self._made: dict[tuple[str, bool], str] = {(value.name, False): value.name for value in graph.input}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, TensorProto] = {}

    def place(self, node: onnx.NodeProto, *, half: bool) -> None:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [self.get(name, half=half) for name in node.input]
        copy.output[:] = [self._record(name, half) for name in node.output]
        for attribute in copy.attribute:
            if node.op_type == "Cast" and half and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
        self.nodes.append(copy)

    def get(self, name: str, *, half: bool) -> str:
        """The tensor in the type that is wanted; what is not float32 stays as it is."""
        if name in self._weights:
            return self._constant(name, half)
        if name not in self._floats:
            return name
        if (name, half) not in self._made:
            source, made = self._made[name, not half], self._record(name, half)
            to = TensorProto.FLOAT16 if half else TensorProto.FLOAT
            self.nodes.append(helper.make_node("Cast", [source], [made], name=f"{made}/Cast", to=to))
        return self._made[name, half]

    def _record(self, name: str, half: bool) -> str:
        """The name of a tensor in one of its types: its own, if that is free."""
        taken = (name, not half) in self._made
        made = f"{name}.half" if half and (taken or name in self._public) else name
        if not half and taken and name not in self._public:
            made = f"{name}.single"
        if name in self._floats:
            self._made[name, half] = made
            return made
        return name

    def _constant(self, name: str, half: bool) -> str:
        weight = self._weights[name]
        if half and name in self._floats:
            rounded = numpy_helper.to_array(weight).astype(np.float16)
            weight = numpy_helper.from_array(rounded, f"{name}.half")
        made = f"{name}.half" if weight is not self._weights[name] else name
        self.constants.setdefault(made, weight)
        return made
