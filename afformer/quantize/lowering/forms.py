"""The forms in which a map exists in the integer graph: integers or floats, channels last or first.

A form is made from the cheapest one there is when somebody asks for it, once. Bytes are moved rather than floats: a
float map in the other layout is transposed as bytes if it exists as bytes.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from afformer.errors import QuantizeError
from afformer.quantize.affine import Affine, affine_from_range
from afformer.quantize.lowering.channels_last_norm import TO_FIRST, TO_LAST
from afformer.quantize.lowering.graph import Builder, Graph
from afformer.quantize.lowering.plan import Layout
from afformer.quantize.lowering.report import Step
from afformer.quantize.placement import Scheme
from afformer.quantize.ranges import Ranges

FLOOR = {"HardSwish": -3.0, "Gelu": -4.0}
"""Below this input the activation is zero (GELU: above -1.3e-4), so nothing is lost when it saturates there."""


@dataclasses.dataclass(frozen=True)
class Form:
    """Layout, and integer or float."""

    layout: Layout
    integer: bool = False


BYTES = Form(Layout.LAST, integer=True)
FIRST = Form(Layout.FIRST)
LAST = Form(Layout.LAST)


class Forms:
    """Makes and remembers forms.

    Attributes:
        steps: The conversions made so far.
        reader: Name of the node being lowered, for the reasons of conversions.
    """

    def __init__(self, graph: Graph, builder: Builder, ranges: Ranges, scheme: Scheme) -> None:
        self.graph, self.builder, self.ranges, self.scheme = graph, builder, ranges, scheme
        self.steps: list[Step] = []
        self.reader = ""
        self._made: dict[tuple[str, Form], str] = {}
        self._channels_last_views: dict[str, str] = {}

    def put(self, name: str, form: Form, made: str) -> None:
        """Tells where a form of a tensor is."""
        self._made[name, form] = made

    def view_channels_last(self, name: str, source: str) -> None:
        """Tells that the 4-D tensor `name` is `source` transposed to channels last: the same bytes by another name."""
        self._channels_last_views[name] = source

    def get(self, name: str, form: Form) -> str:
        """The tensor in a form."""
        if name in self.graph.constants:
            return self.builder.constant(name, self.graph.constants[name])
        if name in self._channels_last_views:
            assert form.layout is Layout.FIRST, f"{name} is channels last as it is"
            return self.get(self._channels_last_views[name], Form(Layout.LAST, form.integer))
        if (name, form) not in self._made:
            self._made[name, form] = self._convert(name, form)
        return self._made[name, form]

    def grid(self, name: str) -> Affine:
        """Scale and zero point of a tensor.

        Raises:
            QuantizeError: The tensor was not observed.
        """
        if name not in self.ranges:
            raise QuantizeError(
                f"tensor '{name}' has no range; expected one from calibrating this model, calibrate it again"
            )
        low, high = self.ranges[name].low, self.ranges[name].high
        readers = {node.op_type for node in self.graph.consumers[name]}
        if len(readers) == 1 and (floor := FLOOR.get(next(iter(readers)))) is not None and not self.scheme.symmetric:
            low, high = max(low, floor), max(high, 0.0)
        return affine_from_range(low, high, self.scheme.activations, self.scheme.symmetric)

    def on_grid(self, name: str) -> list[str]:
        """The tensor as bytes with the names of its scale and zero point."""
        return [self.get(name, BYTES), *self.constants_of(self.grid(name))]

    def constants_of(self, grid: Affine) -> list[str]:
        """The names of a scale and a zero point in the graph."""
        scale = self.builder.constant(f"s{np.float32(grid.scale):.5g}", np.array(grid.scale, np.float32))
        zero = self.builder.constant(f"z{grid.kind.value}{grid.zero_point}", np.array(grid.zero_point, grid.kind.dtype))
        return [scale, zero]

    def _convert(self, name: str, form: Form) -> str:
        twin = Form(form.layout, not form.integer)
        other = Layout.FIRST if form.layout is Layout.LAST else Layout.LAST
        if (name, twin) in self._made:
            return self._requantize(name, form, self._made[name, twin])
        if not form.integer and (name, Form(other, integer=True)) not in self._made:
            return self._transpose(name, form, self._made[name, Form(other)])
        if form.integer:
            return self._transpose(name, form, self.get(name, Form(other, integer=True)))
        return self._requantize(name, form, self.get(name, twin))

    def _requantize(self, name: str, form: Form, source: str) -> str:
        op_type = "QuantizeLinear" if form.integer else "DequantizeLinear"
        self.steps.append(Step(op_type, name, f"{self.reader} runs on {'integers' if form.integer else 'floats'}"))
        made = form_name(name, form)
        inputs = [source, *self.constants_of(self.grid(name))]
        shape = self.graph.shape(name)
        if form.integer or len(shape) != 4 or len(self.graph.consumers[name]) < 2:
            return self.builder.add(op_type, inputs, made)
        # ONNX Runtime gives every reader a DequantizeLinear of its own, through reshapes too, but not through Flatten
        once = self.builder.add(op_type, inputs, f"{made}.once")
        flat = self.builder.add("Flatten", [once], f"{made}.flat", axis=1)
        axes = TO_LAST if form.layout is Layout.LAST else range(4)
        full = self.builder.constant(f"{made}.shape", np.array([shape[axis] for axis in axes], np.int64))
        return self.builder.add("Reshape", [flat, full], made)

    def _transpose(self, name: str, form: Form, source: str) -> str:
        self.steps.append(Step("Transpose", name, f"{self.reader} wants {form.layout.value}"))
        perm = TO_LAST if form.layout is Layout.LAST else TO_FIRST
        return self.builder.add("Transpose", [source], form_name(name, form), perm=perm)


def form_name(name: str, form: Form) -> str:
    """The name of a form of a tensor; channels-first floats keep the tensor's own."""
    kind = "bytes" if form.integer else "float"
    return name if form == FIRST else f"{name}.{kind}{'.last' if form.layout is Layout.LAST else ''}"
