"""The representations of a tensor in the integer graph: integers or floats, channels last or first.

A representation is made when a node first needs it, from the cheapest one that exists. Bytes are moved rather than
floats: a float tensor in the other layout is transposed as bytes if it exists as bytes.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx

from afformer.quantize.grid import Grid
from afformer.quantize.lowering.channels_last_norm import TO_FIRST, TO_LAST
from afformer.quantize.lowering.gate import clipped, floor_of, gate_of
from afformer.quantize.lowering.graph import Builder, Graph, renamed
from afformer.quantize.lowering.node_placement import Layout
from afformer.quantize.lowering.result import Conversion
from afformer.quantize.placement import Scheme
from afformer.quantize.ranges import Ranges, range_for

FLOOR = {"HardSwish": -3.0, "Gelu": -4.0}
"""Below this input the activation is zero (GELU: at least -1.3e-4), so clipping its input there loses nothing."""


@dataclasses.dataclass(frozen=True)
class Representation:
    """Layout, and integer or float."""

    layout: Layout
    integer: bool = False


BYTES = Representation(Layout.LAST, integer=True)
FIRST = Representation(Layout.FIRST)
LAST = Representation(Layout.LAST)


class Representations:
    """Makes the representations that nodes ask for, each once.

    Attributes:
        conversions: The conversions made so far.
        reader: Name of the node being lowered, for the reasons of conversions.
    """

    def __init__(self, graph: Graph, builder: Builder, ranges: Ranges, scheme: Scheme) -> None:
        self.graph, self.builder, self.ranges, self.scheme = graph, builder, ranges, scheme
        self.conversions: list[Conversion] = []
        self.reader = ""
        self._made: dict[tuple[str, Representation], str] = {}
        self._channels_last_views: dict[str, str] = {}
        self._products: dict[str, onnx.NodeProto] = {}

    def put(self, name: str, wanted: Representation, made: str) -> None:
        """Records that `made` is a representation of tensor `name`."""
        self._made[name, wanted] = made

    def view_channels_last(self, name: str, viewed: str) -> None:
        """Records that the 4-D tensor `name` is `viewed` transposed to channels last: the same bytes, another name."""
        self._channels_last_views[name] = viewed

    def rescale_when_read(self, product: onnx.NodeProto) -> None:
        """Records that a tensor is another one, in float, multiplied by a constant for each channel."""
        self._products[product.output[0]] = product

    def get(self, name: str, wanted: Representation) -> str:
        """The name of the tensor in a representation."""
        if name in self._products:
            self._write_product(self._products.pop(name), wanted)
        if name in self.graph.constants:
            return self.builder.constant(name, self.graph.constants[name])
        if name in self._channels_last_views:
            assert wanted.layout is Layout.FIRST, f"{name} is channels last as it is"
            return self.get(self._channels_last_views[name], Representation(Layout.LAST, wanted.integer))
        if (name, wanted) not in self._made:
            self._made[name, wanted] = self._convert(name, wanted)
        return self._made[name, wanted]

    def grid(self, name: str) -> Grid:
        """The grid of a tensor, without the part of its range that its only readers clip.

        Raises:
            QuantizeError: The tensor was not observed.
        """
        if (bounds := clipped(self.graph, name)) is not None:
            return Grid.over(bounds.low, bounds.high, self.scheme.activations, self.scheme.symmetric)
        kept = range_for(self.ranges, name)
        low, high = kept.low, kept.high
        if (gate := gate_of(self.graph, name)) is not None:
            return Grid.over(max(low, floor_of(self.graph, gate)), max(high, 0.0), self.scheme.activations)
        readers = {node.op_type for node in self.graph.consumers[name]}
        if len(readers) == 1 and (floor := FLOOR.get(next(iter(readers)))) is not None and not self.scheme.symmetric:
            low, high = max(low, floor), max(high, 0.0)
        return Grid.over(low, high, self.scheme.activations, self.scheme.symmetric)

    def on_grid(self, name: str) -> list[str]:
        """The names of the tensor as bytes, of its scale and of its zero point."""
        return [self.get(name, BYTES), *self.constants_of(self.grid(name))]

    def constants_of(self, grid: Grid) -> list[str]:
        """The names of a grid's scale and zero point in the graph."""
        scale = self.builder.constant(f"s{np.float32(grid.scale):.5g}", np.array(grid.scale, np.float32))
        zero = self.builder.constant(f"z{grid.kind.value}{grid.zero_point}", np.array(grid.zero_point, grid.kind.dtype))
        return [scale, zero]

    def _write_product(self, product: onnx.NodeProto, wanted: Representation) -> None:
        """Multiplies, or, if bytes are wanted, quantizes with a scale for each channel."""
        (source, factor), name = product.input, product.output[0]
        if not wanted.integer:
            self._write_multiplication(product, wanted)
            return
        read = self.get(source, FIRST)
        grid = self.grid(name)
        scales = (grid.scale / self.graph.constants[factor].astype(np.float64)).reshape(-1).astype(np.float32)
        zeros = np.full(len(scales), grid.zero_point, grid.kind.dtype)
        inputs = [read, self.builder.constant(f"{name}.scales", scales), self.builder.constant(f"{name}.zeros", zeros)]
        bytes_first = Representation(Layout.FIRST, integer=True)
        self.conversions.append(Conversion("QuantizeLinear", name, f"{self.reader} runs on integers"))
        made = self.builder.add("QuantizeLinear", inputs, representation_name(name, bytes_first), axis=1)
        self.put(name, bytes_first, made)

    def _write_multiplication(self, product: onnx.NodeProto, wanted: Representation) -> None:
        (source, factor), name = product.input, product.output[0]
        values = self.graph.constants[factor]
        if wanted.layout is Layout.LAST:
            values = values.reshape(-1)
        new = renamed(product, {source: self.get(source, wanted), factor: self.builder.constant(factor, values)})
        new.output[0] = representation_name(name, wanted)
        self.builder.append(new)
        self.put(name, wanted, new.output[0])

    def _convert(self, name: str, wanted: Representation) -> str:
        twin = Representation(wanted.layout, not wanted.integer)
        other = Layout.FIRST if wanted.layout is Layout.LAST else Layout.LAST
        if (name, twin) in self._made:
            return self._requantize(name, wanted, self._made[name, twin])
        if not wanted.integer and (name, Representation(other, integer=True)) not in self._made:
            return self._transpose(name, wanted, self._made[name, Representation(other)])
        if wanted.integer:
            return self._transpose(name, wanted, self.get(name, Representation(other, integer=True)))
        return self._requantize(name, wanted, self.get(name, twin))

    def _requantize(self, name: str, wanted: Representation, made_from: str) -> str:
        op_type = "QuantizeLinear" if wanted.integer else "DequantizeLinear"
        self.conversions.append(
            Conversion(op_type, name, f"{self.reader} runs on {'integers' if wanted.integer else 'floats'}")
        )
        made = representation_name(name, wanted)
        inputs = [made_from, *self.constants_of(self.grid(name))]
        shape = self.graph.shape(name)
        if wanted.integer or len(shape) != 4 or len(self.graph.consumers[name]) < 2:
            return self.builder.add(op_type, inputs, made)
        # ONNX Runtime gives every reader a DequantizeLinear of its own, through reshapes too, but not through Flatten
        once = self.builder.add(op_type, inputs, f"{made}.once")
        flat = self.builder.add("Flatten", [once], f"{made}.flat", axis=1)
        axes = TO_LAST if wanted.layout is Layout.LAST else range(4)
        full = self.builder.constant(f"{made}.shape", np.array([shape[axis] for axis in axes], np.int64))
        return self.builder.add("Reshape", [flat, full], made)

    def _transpose(self, name: str, wanted: Representation, made_from: str) -> str:
        self.conversions.append(Conversion("Transpose", name, f"{self.reader} reads {wanted.layout.value}"))
        perm = TO_LAST if wanted.layout is Layout.LAST else TO_FIRST
        return self.builder.add("Transpose", [made_from], representation_name(name, wanted), perm=perm)


def representation_name(name: str, wanted: Representation) -> str:
    """The name of a tensor in a representation; channels-first floats keep the tensor's own."""
    kind = "bytes" if wanted.integer else "float"
    return name if wanted == FIRST else f"{name}.{kind}{'.last' if wanted.layout is Layout.LAST else ''}"
