"""Which nodes of a canonical graph run on integers, and in which layout the others run."""

from __future__ import annotations

import enum

import onnx

from afformer.quantize.lowering.channels_last_norm import TO_LAST
from afformer.quantize.lowering.gate import is_gated
from afformer.quantize.lowering.graph import Graph, attribute
from afformer.quantize.lowering.pad_channels import is_depthwise
from afformer.quantize.placement import WHY_FLOAT, Scheme

ELEMENTWISE = frozenset({"Add", "Mul", "Relu", "Gelu", "HardSwish", "Clip"})
_ACTIVATIONS = ("HardSwish", "Gelu", "Clip")
_MADE_FIRST = ("Reshape", "MatMul")


class Layout(enum.Enum):
    """Order of a tensor's axes."""

    FIRST = "channels first"
    LAST = "channels last"


def declines(graph: Graph, node: onnx.NodeProto, scheme: Scheme, keep_float: frozenset[str]) -> str | None:
    """Why a node cannot be quantized, whatever its neighbours do; None if it can."""
    if node.name in keep_float:
        return "the search left it in float"
    if node.op_type not in scheme.quantized or (node.op_type == "Mul" and not is_gated(graph, node)):
        return WHY_FLOAT.get(node.op_type, "not an operator that this target quantizes")
    if node.op_type == "Conv":
        channels, kernel = graph.shape(node.input[0])[1], max(graph.shape(node.input[1])[2:])
        if channels < scheme.fewest_inputs:
            return f"{channels} input channels: the integer kernel takes {scheme.fewest_inputs} at a time"
        if is_depthwise(graph, node) and kernel > scheme.largest_depthwise:
            return f"{kernel}x{kernel} depthwise: the float kernel is faster"
    return None


class NodePlacement:
    """Placement for integer operators.

    Attributes:
        integer: Names of the nodes that run on integers.
        stayed: Name -> reason for every node that computes and does not.
    """

    def __init__(self, graph: Graph, scheme: Scheme, keep_float: frozenset[str]) -> None:
        self.graph = graph
        reasons = {node.name: declines(graph, node, scheme, keep_float) for node in graph.nodes}
        self._allowed = {name for name, reason in reasons.items() if reason is None}
        self.integer = {n.name for n in graph.nodes if n.op_type == "Conv"} & self._allowed
        for node in graph.nodes:  # in execution order: a node depends on what was decided for its producers
            if node.name in self._allowed and self._follows(node):
                self.integer.add(node.name)
        self._lonely = {node.name for node in graph.nodes if self._is_lonely(node)}
        self.integer -= self._lonely
        self.stayed = {
            n.name: reasons[n.name] or "its neighbours run in float"
            for n in graph.nodes
            if n.name not in self.integer and n.op_type in {*WHY_FLOAT, "Conv"}
        }

    def is_integer(self, node: onnx.NodeProto | None) -> bool:
        """Whether the node runs on integers."""
        return node is not None and node.name in self.integer

    def wants_float(self, name: str) -> bool:
        """Whether all readers of a convolution's output read it in float, channels last."""
        readers = self.graph.consumers[name]
        return all(not self.is_integer(r) and self.layout_for(r) is Layout.LAST for r in readers)

    def layout_for(self, reader: onnx.NodeProto) -> Layout:
        """The layout in which a float node reads its input."""
        if reader.op_type in ("LayerNormalization", "Resize"):
            return Layout.LAST
        if reader.op_type == "Transpose":
            return Layout.LAST if attribute(reader, "perm") == TO_LAST else Layout.FIRST
        return self.layout_of(reader) if reader.op_type in ELEMENTWISE else Layout.FIRST

    def layout_of(self, node: onnx.NodeProto) -> Layout:
        """The layout of a float elementwise node: channels first if an operand is made that way or is constant."""
        if len(self.graph.shape(node.output[0])) != 4:
            return Layout.FIRST
        if any(name in self.graph.constants and self.graph.constants[name].size > 1 for name in node.input):
            return Layout.FIRST
        first = any(self._made_first(name) for name in self.graph.activations(node))
        return Layout.FIRST if first else Layout.LAST

    def makes_first(self, name: str) -> bool:
        """Whether an elementwise node makes the tensor in float, channels first."""
        maker = self.graph.producer[name]
        return maker.op_type in ELEMENTWISE and self._made_first(name)

    def is_pointwise(self, node: onnx.NodeProto) -> bool:
        """Whether a convolution is a matrix product over tokens."""
        plain = node.op_type == "Conv" and attribute(node, "group", 1) == 1
        return plain and attribute(node, "strides", [1, 1]) == [1, 1] and self.graph.shape(node.input[1])[2:] == (1, 1)

    def _made_first(self, name: str) -> bool:
        maker = self.graph.producer.get(name)
        if maker is None or self.is_integer(maker) or maker.name in self._lonely:
            return False
        elementwise = maker.op_type in ELEMENTWISE and self.layout_of(maker) is Layout.FIRST
        return maker.op_type in (*_MADE_FIRST, "Conv") or elementwise

    def _is_lonely(self, node: onnx.NodeProto) -> bool:
        """Whether a node is a depthwise convolution that gets floats and returns floats.

        In float it takes less time than on integers with the conversions around it: 19 instead of 39 us on 216 channels
        of 12x15 cells, 41 instead of 46 us on 160 of 23x30.
        """
        if not (self.is_integer(node) and is_depthwise(self.graph, node)):
            return False
        read = any(self.is_integer(reader) for reader in self.graph.consumers[node.input[0]] if reader is not node)
        made = self.is_integer(self.graph.producer.get(node.input[0]))
        return not (read or made or any(self.is_integer(reader) for reader in self.graph.consumers[node.output[0]]))

    def _follows(self, node: onnx.NodeProto) -> bool:
        """Whether an activation or an add runs on integers because of its neighbours.

        1. An activation does after an integer convolution.
        2. A gate's product does if the gate does.
        3. An add does if all its readers do and an operand comes as integers that would cost more as floats: a matrix
           product can return either at the same cost.
        """
        makers = [self.graph.producer.get(name) for name in self.graph.activations(node)]
        if node.op_type in _ACTIVATIONS:
            return self.is_integer(makers[0])
        if node.op_type == "Mul":
            return all(self.is_integer(maker) for maker in makers)
        readers = self.graph.consumers[node.output[0]]
        if node.op_type != "Add" or len(makers) != 2 or not readers:
            return False
        firm = any(maker is not None and self.is_integer(maker) and not self.is_pointwise(maker) for maker in makers)
        return firm and all(reader.name in self._allowed for reader in readers)
