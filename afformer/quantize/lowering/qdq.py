"""Canonical float graph -> the same graph with QuantizeLinear/DequantizeLinear pairs around what is quantized.

The operators stay as they are; an engine fuses each half of a pair with its neighbouring operator. What matters is
where the pairs stand: before a reshape or transpose rather than after it, because an engine that works channels last
removes these only if they stand alone between two operators.
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from afformer.quantize.grid import Grid, quantize_weight, scales_for_bias
from afformer.quantize.lowering.equalise import VIEWS, is_rescaling
from afformer.quantize.lowering.graph import Builder, Graph, renamed
from afformer.quantize.lowering.node_placement import declines
from afformer.quantize.lowering.result import Conversion, Lowered, LoweringReport
from afformer.quantize.placement import WHY_FLOAT, Scheme
from afformer.quantize.ranges import Ranges, range_for
from afformer.wording import listed

_CROSSING = ("Reshape", "MatMul")
"""Operators that read a convolution's output channels first."""
_PAGE_FLOATS = 4096 // 4

Shape = tuple[int, ...]


def lower_to_qdq(
    model: onnx.ModelProto, ranges: Ranges, scheme: Scheme, keep_float: frozenset[str], weight_bits: int
) -> Lowered:
    """Lowers a canonical graph; arguments as for `lowering.lower`."""
    return _Lowering(Graph(model), ranges, scheme, keep_float, weight_bits).run()


def stays_float(graph: Graph, scheme: Scheme, keep_float: frozenset[str]) -> dict[str, str]:
    """Name -> reason for every node that computes and is not quantized."""
    computing = [node for node in graph.nodes if node.op_type in {*WHY_FLOAT, "Conv"} and not is_rescaling(node)]
    reasons = {node.name: declines(graph, node, scheme, keep_float) for node in computing}
    for node in computing:
        if node.op_type == "Add" and reasons[node.name] is None and not _residual(graph, node):
            reasons[node.name] = "no convolution before it that it could be fused with"
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _residual(graph: Graph, add: onnx.NodeProto) -> list[str]:
    """The operands of an add that are quantized: all but that of the convolution which the add is fused into."""
    operands = graph.activations(add)
    fused = [n for n in operands if graph.maker(n, "Conv") is not None and graph.only_consumer(n) is not None]
    return [name for name in operands if name != fused[-1]] if fused and len(operands) == 2 else []


class _Lowering:
    def __init__(
        self, graph: Graph, ranges: Ranges, scheme: Scheme, keep_float: frozenset[str], weight_bits: int
    ) -> None:
        self.graph, self.ranges, self.scheme, self.weight_bits = graph, ranges, scheme, weight_bits
        self.builder = Builder(constants=dict(graph.constants))
        self.conversions: list[Conversion] = []
        self.stayed = stays_float(graph, scheme, keep_float)
        self.quantized = {n.name for n in graph.nodes if n.op_type in scheme.quantized and n.name not in self.stayed}
        self.crossing = self._crossing()

    def run(self) -> Lowered:
        readers: dict[str, list[str]] = {name: ["attention"] for name in sorted(self.crossing)}
        for node in self.graph.nodes:
            for name in self._operands(node) if node.name in self.quantized else []:
                readers.setdefault(self._anchor(name), []).append(node.name)
        names = {name: self._pair(name, readers[name]) for name in self.graph.inputs if name in readers}
        for node in self.graph.nodes:
            self._place(node, names)
            for name in node.output:
                if name in readers:
                    names[name] = self._pair(name, readers[name])
        order = tuple(n.name for n in self.graph.nodes if n.name in self.quantized)
        return Lowered(
            self.builder.model(self.graph.model), LoweringReport(tuple(self.conversions), self.stayed, order)
        )

    def _operands(self, node: onnx.NodeProto) -> list[str]:
        """The inputs that are quantized."""
        return _residual(self.graph, node) if node.op_type == "Add" else self.graph.activations(node)

    def _crossing(self) -> set[str]:
        """Outputs of convolutions that attention reads in another layout, and that are better moved as bytes.

        Changing the layout writes values that are N floats apart. If that is a multiple of a page, all writes fall into
        the same few cache sets: 262,144 floats of 64 channels then take 1.0 ms instead of 0.1 (64x64, 45x60 cells).
        """
        if not self.scheme.bytes_across_layouts:
            return set()
        made = [n.output[0] for n in self.graph.nodes if n.op_type == "Conv" and n.name in self.quantized]
        aliased = [name for name in made if math.prod(self.graph.shape(name)[2:]) % _PAGE_FLOATS == 0]
        return {name for name in aliased if any(r.op_type in _CROSSING for r in self.graph.consumers[name])}

    def _anchor(self, name: str) -> str:
        """Where the pair for an input stands: before the views that lead to it, if only quantized nodes read those."""
        maker = self.graph.producer.get(name)
        while maker is not None and maker.op_type in VIEWS and self._all_quantized(name):
            name = maker.input[0]
            maker = self.graph.producer.get(name)
        return name

    def _all_quantized(self, name: str) -> bool:
        readers = self.graph.consumers[name]
        return name not in self.graph.outputs and all(
            r.name in self.quantized or (r.op_type in VIEWS and self._all_quantized(r.output[0])) for r in readers
        )

    def _place(self, node: onnx.NodeProto, names: dict[str, str]) -> None:
        """Adds the node; it reads pairs if it or everything that reads it is quantized, otherwise float tensors."""
        if node.name in self.quantized:
            placed = renamed(node, {name: names[name] for name in self._operands(node) if name in names})
            if node.op_type == "Conv":
                placed.input[1] = self._weight(node.input[1])
        elif node.op_type in _CROSSING and any(name in self.crossing for name in node.input):
            placed = renamed(node, {name: names[name] for name in node.input if name in self.crossing})
            if self._multiplies_rows(node):
                self._product_of_rows(placed, self.graph.shape(node.input[0]), self.graph.shape(node.output[0]))
                return
        elif node.op_type in VIEWS and node.input[0] in names and self._all_quantized(node.output[0]):
            placed = renamed(node, names)
        else:
            placed = node
        self.builder.append(placed)

    def _multiplies_rows(self, node: onnx.NodeProto) -> bool:
        """Whether it is the product of a 4-D map's rows with a constant matrix."""
        rows, matrix = node.input[0], node.input[1] if len(node.input) > 1 else ""
        is_product = node.op_type == "MatMul" and matrix in self.graph.constants
        return is_product and len(self.graph.shape(rows)) == 4 and len(self.graph.shape(matrix)) == 2

    def _product_of_rows(self, product: onnx.NodeProto, shape: Shape, result: Shape) -> None:
        """The product on three axes, `(n, C H, W) (W, S)` between two views, which is the same product.

        OpenVINO changes a tensor's layout where a view of it is made, as bytes, but on four axes where the product
        reads it, as floats: 3 ms instead of 0.1 (64 channels of 64x64 cells). A view that is there already has the
        layout: the rows are a view of that.
        """
        n, channels, height, width = shape
        name, source = product.output[0], product.input[0]
        flat = self.builder.constant(f"{name}.rows", np.array([n, channels * height, width], np.int64))
        full = self.builder.constant(f"{name}.map", np.array(result, np.int64))
        views = (node.output[0] for node in self.builder.nodes if node.op_type == "Reshape" and node.input[0] == source)
        product.input[0] = self.builder.add("Reshape", [next(views, source), flat], f"{name}.of_rows")
        product.output[0] = f"{name}.flat"
        self.builder.append(product)
        self.builder.add("Reshape", [product.output[0], full], name)

    def _pair(self, name: str, readers: list[str]) -> str:
        grid = self._grid(name)
        scale = self.builder.constant(f"{name}.scale", np.array(grid.scale, np.float32))
        zero = self.builder.constant(f"z{grid.kind.value}{grid.zero_point}", np.array(grid.zero_point, grid.kind.dtype))
        reason = f"input of {listed(readers, 1)}"
        self.conversions += [Conversion(op_type, name, reason) for op_type in ("QuantizeLinear", "DequantizeLinear")]
        quantized = self.builder.add("QuantizeLinear", [name, scale, zero], f"{name}.quantized")
        return self.builder.add("DequantizeLinear", [quantized, scale, zero], f"{name}.dequantized")

    def _grid(self, name: str) -> Grid:
        kept = range_for(self.ranges, name)
        return Grid.over(kept.low, kept.high, self.scheme.activations, self.scheme.symmetric)

    def _weight(self, name: str) -> str:
        """The dequantized weight, one for all nodes that share it.

        Engines turn the float bias into int32 steps themselves, so it must fit them.
        """
        made = f"{name}.dequantized"
        if f"{name}.bytes" not in self.builder.constants:
            readers = [node for node in self.graph.consumers[name] if node.name in self.quantized]
            floors = [scales_for_bias(self.graph.bias(r), self._grid(self._anchor(r.input[0])).scale) for r in readers]
            smallest = np.maximum.reduce(floors)
            weight = quantize_weight(self.graph.constants[name], bits=self.weight_bits, smallest=smallest)
            count = len(weight.scales)
            integers = self.builder.constant(f"{name}.bytes", weight.integers)
            scales = self.builder.constant(f"{name}.scale", weight.scales)
            zeros = self.builder.constant(f"zeros{count}", np.zeros(count, np.int8))
            self.builder.add("DequantizeLinear", [integers, scales, zeros], made, axis=0)
        return made
