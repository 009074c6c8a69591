"""Prepared float graph -> ONNX Runtime's integer operators on channels-last maps.

Convolutions, activations and residual adds run on integers, channels last; attention runs in float, channels first;
norms and resizes run in float, channels last. What connects two of these is a conversion (`forms.py`), and each is
reported.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import onnx

from afformer.quantize.affine import Affine, quantize_bias, quantize_weight
from afformer.quantize.lowering.channels_last_norm import TO_FIRST, TO_LAST
from afformer.quantize.lowering.forms import BYTES, FIRST, LAST, Forms, form_name
from afformer.quantize.lowering.graph import CONTRIB, Builder, Graph, attribute, renamed
from afformer.quantize.lowering.plan import ELEMENTWISE, Layout, Plan
from afformer.quantize.lowering.report import Lowered, Report
from afformer.quantize.placement import Scheme
from afformer.quantize.ranges import Ranges

SIGMOID_FOR_PHI = 1.702
"""sigmoid(1.702 x) is within 0.01 of the normal distribution function everywhere."""


def lower_to_integers(
    model: onnx.ModelProto, ranges: Ranges, scheme: Scheme, keep_float: frozenset[str], weight_bits: int
) -> Lowered:
    """Lowers a prepared graph whose norms run channels last; arguments as those of `lowering.lower`."""
    return _Lowering(Graph(model), ranges, scheme, keep_float, weight_bits).run()


class _Lowering:
    def __init__(
        self, graph: Graph, ranges: Ranges, scheme: Scheme, keep_float: frozenset[str], weight_bits: int
    ) -> None:
        self.graph, self.kind, self.weight_bits = graph, scheme.activations, weight_bits
        self.plan = Plan(graph, scheme, keep_float)
        self.builder = Builder()
        self.forms = Forms(graph, self.builder, ranges, scheme)

    def run(self) -> Lowered:
        handlers: dict[str, Callable[[onnx.NodeProto], None]] = {
            "Conv": self._conv,
            "HardSwish": self._hard_swish,
            "Gelu": self._gelu,
            "Add": self._add,
        }
        for name in self.graph.inputs:
            self.forms.put(name, FIRST, name)
        for node in self.graph.nodes:
            self.forms.reader = node.name
            if self.plan.is_integer(node):
                handlers[node.op_type](node)
            elif node.op_type == "Resize":
                self._resize(node)
            elif node.op_type == "Transpose" and attribute(node, "perm") == TO_LAST:
                self.forms.view_channels_last(node.output[0], node.input[0])
            elif node.op_type == "Transpose" and attribute(node, "perm") == TO_FIRST:
                self._back_to_first(node)
            else:
                self._float(node)
        for name in self.graph.outputs:
            self.forms.reader = "the model's output"
            self._put_out(name)
        order = tuple(node.name for node in self.graph.nodes if node.name in self.plan.integer)
        report = Report(tuple(self.forms.steps), self.plan.stayed, order)
        return Lowered(self.builder.model(self.graph.model), report)

    def _conv(self, node: onnx.NodeProto) -> None:
        source, target = node.input[0], node.output[0]
        weight = quantize_weight(self.graph.constants[node.input[1]], bits=self.weight_bits)
        count = len(weight.scales)
        bias = self.graph.constants[node.input[2]] if len(node.input) > 2 else np.zeros(count, np.float32)
        scales = self.builder.constant(f"{node.input[1]}.scale", weight.scales)
        zeros = self.builder.constant(f"zeros{count}", np.zeros(count, np.int8))
        x, x_scale, x_zero = self.forms.on_grid(source)
        if self.plan.is_pointwise(node) and self.plan.wants_float(target):
            matrix = self.builder.constant(f"{node.input[1]}.bytes", weight.integers[:, :, 0, 0].T)
            inputs = [x, matrix, x_scale, scales, x_zero, zeros, self.builder.constant(f"{target}.bias", bias)]
            made = self.builder.add("MatMulIntegerToFloat", inputs, form_name(target, LAST), node.name, CONTRIB)
            self.forms.put(target, LAST, made)
            return
        integers = self.builder.constant(f"{node.input[1]}.bytes", weight.integers)
        steps = quantize_bias(bias, self.forms.grid(source).scale, weight.scales)
        inputs = [x, x_scale, x_zero, integers, scales, zeros, *self._output(target)]
        inputs.append(self.builder.constant(f"{target}.bias", steps))
        geometry = {a.name: attribute(node, a.name) for a in node.attribute if a.name != "auto_pad"}
        self._emit("QLinearConv", inputs, node, channels_last=1, **geometry)

    def _hard_swish(self, node: onnx.NodeProto) -> None:
        """hardswish(x) = x * relu6(x + 3) / 6: the gate is an add whose output range 0..6 clips, /6 is in its scale."""
        source, target = node.input[0], node.output[0]
        three = [self.builder.constant(f"highest_{self.kind.value}", np.array(self.kind.highest, self.kind.dtype))]
        three += self._unsigned(3.0)
        inputs = [*self.forms.on_grid(source), *three, *self._unsigned(6.0)]
        gate = self.builder.add("QLinearAdd", inputs, f"{target}.gate", f"{node.name}/gate", CONTRIB)
        self._emit("QLinearMul", [*self.forms.on_grid(source), gate, *self._unsigned(1.0), *self._output(target)], node)

    def _gelu(self, node: onnx.NodeProto) -> None:
        """gelu(x) = x * Phi(x), with a sigmoid for Phi: off by 0.02 at most, about a step of the result's 8 bits."""
        source, target = node.input[0], node.output[0]
        grid = self.forms.grid(source)
        steeper = self.forms.constants_of(dataclasses.replace(grid, scale=grid.scale * SIGMOID_FOR_PHI))
        inputs = [self.forms.get(source, BYTES), *steeper, *self._unsigned(1.0)]
        gate = self.builder.add("QLinearSigmoid", inputs, f"{target}.gate", f"{node.name}/gate", CONTRIB)
        self._emit("QLinearMul", [*self.forms.on_grid(source), gate, *self._unsigned(1.0), *self._output(target)], node)

    def _add(self, node: onnx.NodeProto) -> None:
        operands = [part for name in node.input for part in self.forms.on_grid(name)]
        self._emit("QLinearAdd", [*operands, *self._output(node.output[0])], node)

    def _emit(self, op_type: str, inputs: list[str], node: onnx.NodeProto, **attributes: object) -> None:
        target = node.output[0]
        made = self.builder.add(op_type, inputs, form_name(target, BYTES), node.name, CONTRIB, **attributes)
        self.forms.put(target, BYTES, made)

    def _output(self, name: str) -> list[str]:
        return self.forms.constants_of(self.forms.grid(name))

    def _unsigned(self, high: float) -> list[str]:
        """The grid of 0..high."""
        return self.forms.constants_of(Affine(high / 255, self.kind.lowest, self.kind))

    def _resize(self, node: onnx.NodeProto) -> None:
        """In float, channels last: the engine's kernel for bytes is several times slower."""
        source, target = node.input[0], node.output[0]
        n, channels, height, width = self.graph.shape(target)
        sizes = self.builder.constant(f"{target}.sizes", np.array([n, height, width, channels], np.int64))
        kept = {a.name: attribute(node, a.name) for a in node.attribute}
        inputs = [self.forms.get(source, LAST), "", "", sizes]
        made = self.builder.add("Resize", inputs, form_name(target, LAST), node.name, **kept)
        self.forms.put(target, LAST, made)

    def _back_to_first(self, node: onnx.NodeProto) -> None:
        """A tensor that is made channels last, and seen as a channels-first map from here on."""
        self.forms.put(node.output[0], LAST, self.forms.get(node.input[0], FIRST))

    def _float(self, node: onnx.NodeProto) -> None:
        elementwise = node.op_type in ELEMENTWISE
        form = LAST if elementwise and self.plan.layout_of(node) is Layout.LAST else FIRST
        copy = renamed(node, {name: self.forms.get(name, form) for name in node.input if name})
        copy.output[0] = form_name(node.output[0], form)
        self.forms.put(node.output[0], form, copy.output[0])
        self.builder.append(copy)

    def _put_out(self, name: str) -> None:
        """Gives the float tensor the output's own name, which a conversion made under another."""
        made = self.forms.get(name, FIRST)
        for node in self.builder.nodes:
            node.output[:] = [name if output == made else output for output in node.output]
            node.input[:] = [name if source == made else source for source in node.input]
