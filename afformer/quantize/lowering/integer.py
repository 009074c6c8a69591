"""Canonical float graph -> ONNX Runtime's integer operators on channels-last maps.

Convolutions, activations and residual adds run on integers, channels last; attention runs in float, channels first;
norms and resizes run in float, channels last. What connects two of these is a conversion (`representations.py`), and
each is reported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import onnx

from afformer.quantize.grid import Grid, QuantizedWeight, quantize_bias, quantize_weight, scales_for_bias
from afformer.quantize.lowering.channels_last_norm import TO_FIRST, TO_LAST
from afformer.quantize.lowering.equalise import is_rescaling
from afformer.quantize.lowering.graph import CONTRIB, Builder, Graph, attribute, renamed
from afformer.quantize.lowering.node_placement import ELEMENTWISE, Layout, NodePlacement
from afformer.quantize.lowering.pad_channels import BLOCK, is_depthwise
from afformer.quantize.lowering.representations import BYTES, FIRST, LAST, Representations, representation_name
from afformer.quantize.lowering.result import Lowered, LoweringReport
from afformer.quantize.placement import Scheme
from afformer.quantize.ranges import Ranges

_WIDE = 64
"""Channels from which on more of them gain a depthwise 1x1 convolution less than two Reshapes cost."""
SIGMOID_FOR_PHI = 1.702
"""sigmoid(1.702 x) is within 0.01 of the normal cumulative distribution function everywhere."""


def lower_to_integers(
    model: onnx.ModelProto, ranges: Ranges, scheme: Scheme, keep_float: frozenset[str], weight_bits: int
) -> Lowered:
    """Lowers a canonical graph whose norms run channels last; arguments as for `lowering.lower`."""
    return _Lowering(Graph(model), ranges, scheme, keep_float, weight_bits).run()


class _Lowering:
    def __init__(
        self, graph: Graph, ranges: Ranges, scheme: Scheme, keep_float: frozenset[str], weight_bits: int
    ) -> None:
        self.graph, self.kind = graph, scheme.activations
        self.weight_bits, self.depthwise_bits = weight_bits, scheme.depthwise_bits or weight_bits
        self.placement = NodePlacement(graph, scheme, keep_float)
        self.builder = Builder()
        self.tensors = Representations(graph, self.builder, ranges, scheme)

    def run(self) -> Lowered:
        handlers: dict[str, Callable[[onnx.NodeProto], None]] = {
            "Conv": self._conv,
            "HardSwish": self._hard_swish,
            "Gelu": self._gelu,
            "Clip": self._clip,
            "Mul": self._mul,
            "Add": self._add,
        }
        for name in self.graph.inputs:
            self.tensors.put(name, FIRST, name)
        for node in self.graph.nodes:
            self.tensors.reader = node.name
            if self.placement.is_integer(node):
                handlers[node.op_type](node)
            elif is_rescaling(node):
                self.tensors.rescale_when_read(node)
            elif node.op_type == "Resize":
                self._resize(node)
            elif node.op_type == "Transpose" and attribute(node, "perm") == TO_LAST:
                self.tensors.view_channels_last(node.output[0], node.input[0])
            elif node.op_type == "Transpose" and attribute(node, "perm") == TO_FIRST:
                self._back_to_first(node)
            else:
                self._float(node)
        for name in self.graph.outputs:
            self.tensors.reader = "the model's output"
            self._write_output(name)
        order = tuple(node.name for node in self.graph.nodes if node.name in self.placement.integer)
        report = LoweringReport(tuple(self.tensors.conversions), self.placement.stayed, order)
        return Lowered(self.builder.model(self.graph.model), report)

    def _conv(self, node: onnx.NodeProto) -> None:
        weight = self._weight(node.input[1])
        if self.placement.is_pointwise(node) and self.placement.wants_float(node.output[0]):
            self._product(node, weight)
        else:
            self._convolution(node, weight)

    def _product(self, node: onnx.NodeProto, weight: QuantizedWeight) -> None:
        """A 1x1 convolution that returns floats."""
        target = node.output[0]
        x, x_scale, x_zero = self.tensors.on_grid(node.input[0])
        matrix = self.builder.constant(f"{node.input[1]}.bytes", weight.integers[:, :, 0, 0].T)
        bias = self.builder.constant(f"{target}.bias", self.graph.bias(node))
        scales, zeros = self._scales(node.input[1], weight)
        inputs = [x, matrix, x_scale, scales, x_zero, zeros, bias]
        made = self.builder.add("MatMulIntegerToFloat", inputs, representation_name(target, LAST), node.name, CONTRIB)
        self.tensors.put(target, LAST, made)

    def _convolution(self, node: onnx.NodeProto, weight: QuantizedWeight) -> None:
        """A convolution that returns bytes."""
        source, target = node.input[0], node.output[0]
        x, x_scale, x_zero = self.tensors.on_grid(source)
        steps = quantize_bias(self.graph.bias(node), self.tensors.grid(source).scale, weight.scales)
        geometry = {a.name: attribute(node, a.name) for a in node.attribute if a.name != "auto_pad"}
        n, channels, height, width = self.graph.shape(target)
        if (cells := self._cells_together(node)) > 1:
            x = self._reshaped(x, f"{target}.wide", (n, 1, height * width // cells, cells * channels))
            steps, weight = np.tile(steps, cells), _repeated(weight, cells)
            geometry["group"] *= cells
        integers = self.builder.constant(f"{node.input[1]}.bytes", weight.integers)
        scales, zeros = self._scales(node.input[1], weight)
        bias = self.builder.constant(f"{target}.bias", steps)
        inputs = [x, x_scale, x_zero, integers, scales, zeros, *self._output(target), bias]
        self._emit("QLinearConv", inputs, node, channels_last=1, **geometry)
        if cells > 1:
            made = self._reshaped(self.tensors.get(target, BYTES), f"{target}.narrow", (n, height, width, channels))
            self.tensors.put(target, BYTES, made)

    def _scales(self, name: str, weight: QuantizedWeight) -> tuple[str, str]:
        """The names of a weight's scales and zero points in the graph."""
        count = len(weight.scales)
        scales = self.builder.constant(f"{name}.scale", weight.scales)
        return scales, self.builder.constant(f"zeros{count}", np.zeros(count, np.int8))

    def _cells_together(self, node: onnx.NodeProto) -> int:
        """How many cells a depthwise 1x1 convolution sees as one, with as many times the channels.

        Its kernel takes 16 channels at a time and the rest one by one, and is slow to begin a cell. 90x120 cells of
        16 channels take 48 us, as 64 channels 22 us; 45x60 of 216 take 133 us, as 432 channels 54 us.
        """
        channels, height, width = self.graph.shape(node.output[0])[1:]
        plain = attribute(node, "strides", [1, 1]) == [1, 1] and self.graph.shape(node.input[1])[1:] == (1, 1, 1)
        if not (plain and is_depthwise(self.graph, node)) or any(attribute(node, "pads", [0])):
            return 1
        count = height * width
        folds = (cells for cells in range(1, count + 1) if count % cells == 0 and channels * cells % BLOCK == 0)
        return next((cells for cells in folds if channels * cells >= _WIDE), 1)

    def _reshaped(self, source: str, made: str, shape: tuple[int, ...]) -> str:
        full = self.builder.constant(f"{made}.shape", np.array(shape, np.int64))
        return self.builder.add("Reshape", [source, full], made)

    def _weight(self, name: str) -> QuantizedWeight:
        """The weight, with scales for the biases of all convolutions that share it."""
        readers = [node for node in self.graph.consumers[name] if self.placement.is_integer(node)]
        scales = [scales_for_bias(self.graph.bias(r), self.tensors.grid(r.input[0]).scale) for r in readers]
        smallest = np.maximum.reduce(scales)
        bits = self.depthwise_bits if is_depthwise(self.graph, readers[0]) else self.weight_bits
        return quantize_weight(self.graph.constants[name], bits=bits, smallest=smallest)

    def _hard_swish(self, node: onnx.NodeProto) -> None:
        """hardswish(x) = x * relu6(x + 3) / 6: the gate is an add, whose range 0..6 clips and whose scale divides."""
        source, target = node.input[0], node.output[0]
        three = [self.builder.constant(f"highest_{self.kind.value}", np.array(self.kind.highest, self.kind.dtype))]
        three += self._unsigned(3.0)
        inputs = [*self.tensors.on_grid(source), *three, *self._unsigned(6.0)]
        gate = self.builder.add("QLinearAdd", inputs, f"{target}.gate", f"{node.name}/gate", CONTRIB)
        self._emit(
            "QLinearMul", [*self.tensors.on_grid(source), gate, *self._unsigned(1.0), *self._output(target)], node
        )

    def _gelu(self, node: onnx.NodeProto) -> None:
        """gelu(x) = x * Phi(x), with a sigmoid for Phi: off by at most 0.02, about one step of the result's 8 bits."""
        source, target = node.input[0], node.output[0]
        grid = self.tensors.grid(source)
        steeper = self.tensors.constants_of(dataclasses.replace(grid, scale=grid.scale * SIGMOID_FOR_PHI))
        inputs = [self.tensors.get(source, BYTES), *steeper, *self._unsigned(1.0)]
        gate = self.builder.add("QLinearSigmoid", inputs, f"{target}.gate", f"{node.name}/gate", CONTRIB)
        self._emit(
            "QLinearMul", [*self.tensors.on_grid(source), gate, *self._unsigned(1.0), *self._output(target)], node
        )

    def _clip(self, node: onnx.NodeProto) -> None:
        """The grid of what is clipped ends where the clip does: the bytes are the same."""
        self.tensors.put(node.output[0], BYTES, self.tensors.get(node.input[0], BYTES))

    def _mul(self, node: onnx.NodeProto) -> None:
        operands = [part for name in node.input for part in self.tensors.on_grid(name)]
        self._emit("QLinearMul", [*operands, *self._output(node.output[0])], node)

    def _add(self, node: onnx.NodeProto) -> None:
        operands = [part for name in node.input for part in self.tensors.on_grid(name)]
        self._emit("QLinearAdd", [*operands, *self._output(node.output[0])], node)

    def _emit(self, op_type: str, inputs: list[str], node: onnx.NodeProto, **attributes: object) -> None:
        target = node.output[0]
        made = self.builder.add(op_type, inputs, representation_name(target, BYTES), node.name, CONTRIB, **attributes)
        self.tensors.put(target, BYTES, made)

    def _output(self, name: str) -> list[str]:
        return self.tensors.constants_of(self.tensors.grid(name))

    def _unsigned(self, high: float) -> list[str]:
        """The grid of 0..high."""
        return self.tensors.constants_of(Grid(high / 255, self.kind.lowest, self.kind))

    def _resize(self, node: onnx.NodeProto) -> None:
        """In float, channels last: ONNX Runtime's kernel for bytes is several times slower."""
        source, target = node.input[0], node.output[0]
        n, channels, height, width = self.graph.shape(target)
        sizes = self.builder.constant(f"{target}.sizes", np.array([n, height, width, channels], np.int64))
        kept = {a.name: attribute(node, a.name) for a in node.attribute}
        inputs = [self.tensors.get(source, LAST), "", "", sizes]
        made = self.builder.add("Resize", inputs, representation_name(target, LAST), node.name, **kept)
        self.tensors.put(target, LAST, made)

    def _back_to_first(self, node: onnx.NodeProto) -> None:
        """A tensor that is made channels last, and that the nodes after it read channels first."""
        self.tensors.put(node.output[0], LAST, self.tensors.get(node.input[0], FIRST))

    def _float(self, node: onnx.NodeProto) -> None:
        elementwise = node.op_type in ELEMENTWISE
        wanted = LAST if elementwise and self.placement.layout_of(node) is Layout.LAST else FIRST
        copy = renamed(node, {name: self.tensors.get(name, wanted) for name in node.input if name})
        copy.output[0] = representation_name(node.output[0], wanted)
        self.tensors.put(node.output[0], wanted, copy.output[0])
        self.builder.append(copy)

    def _write_output(self, name: str) -> None:
        """Gives the output its own name: a conversion may have made it under another one."""
        made = self.tensors.get(name, FIRST)
        for node in self.builder.nodes:
            node.output[:] = [name if output == made else output for output in node.output]
            node.input[:] = [name if source == made else source for source in node.input]


def _repeated(weight: QuantizedWeight, times: int) -> QuantizedWeight:
    """The weight of as many times the output channels."""
    return QuantizedWeight(np.tile(weight.integers, (times, 1, 1, 1)), np.tile(weight.scales, times))
