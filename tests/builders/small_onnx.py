"""Float graphs of a few nodes, and a lowering that does no more than its contract."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from afformer.quantize.lowering.report import Lowered, Report, Step, Unit
from afformer.quantize.placement import Target
from afformer.quantize.ranges import Ranges

CHAIN = """
    <ir_version: 9, opset_import: ["" : 18]>
    chain (float[1, 3, 4, 4] image) => (float[1, 3, 4, 4] logits)
    <float two = {2}, float one = {1}> {
        doubled = Mul (image, two)
        shifted = Add (doubled, one)
        logits = Relu (shifted)
    }"""


def chain() -> onnx.ModelProto:
    """`relu(2 x + 1)`, with names for what is between."""
    return onnx.parser.parse_model(CHAIN)


def write_pictures(folder: Path, count: int, size: tuple[int, int] = (64, 96), first: int = 0) -> list[Path]:
    """Different pictures of all brightnesses: a slope from dark to light, and noise."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for seed in range(first, first + count):
        random = np.random.default_rng(seed)
        slope = np.linspace(random.uniform(0, 60), random.uniform(180, 255), size[1])
        pixels = np.clip(slope[None, :, None] + random.normal(0, 12, (*size, 3)), 0, 255)
        paths.append(folder / f"{seed:03}.png")
        cv2.imwrite(str(paths[-1]), pixels.astype(np.uint8))
    return paths


@dataclasses.dataclass(frozen=True)
class RoundingLowering:
    """Rounds the inputs of some nodes to 8 bits: QuantizeLinear and DequantizeLinear, nothing else.

    Attributes:
        op_types: Nodes to quantize; each is a unit of its own.
        step: Coarseness: 1 is 8 bits, 2 is 7 bits, below 1 saturates.
    """

    op_types: tuple[str, ...] = ("Conv",)
    step: float = 1.0

    def prepare(self, model: onnx.ModelProto) -> onnx.ModelProto:
        named = onnx.ModelProto()
        named.CopyFrom(model)
        for node in named.graph.node:
            node.name = _name(node)
        return named

    def tensors_to_observe(self, prepared: onnx.ModelProto, target: Target) -> Sequence[str]:
        return list(dict.fromkeys(node.input[0] for node in self._quantized(prepared)))

    def units(self, prepared: onnx.ModelProto, target: Target) -> Sequence[Unit]:
        return [Unit(f"unit {_name(node)}", frozenset({_name(node)})) for node in self._quantized(prepared)]

    def lower(
        self,
        prepared: onnx.ModelProto,
        ranges: Ranges,
        target: Target,
        keep_float: frozenset[str] = frozenset(),
        weight_bits: int = 8,
    ) -> Lowered:
        model = onnx.ModelProto()
        model.CopyFrom(prepared)
        nodes: list[onnx.NodeProto] = []
        steps: list[Step] = []
        quantized = {_name(node) for node in self._quantized(prepared)} - keep_float
        for node in model.graph.node:
            if _name(node) in quantized:
                tensor = node.input[0]
                nodes += self._rounded(model, tensor, ranges)
                steps += [
                    Step("QuantizeLinear", tensor, "for the kernel"),
                    Step("DequantizeLinear", tensor, "for Relu"),
                ]
                node.input[0] = f"{tensor}/back"
            nodes.append(node)
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        stayed = {
            _name(node): f"no kernel for {node.op_type}" for node in prepared.graph.node if not _in(node, quantized)
        }
        return Lowered(model, Report(tuple(steps), stayed, tuple(sorted(quantized))))

    def _quantized(self, model: onnx.ModelProto) -> list[onnx.NodeProto]:
        return [node for node in model.graph.node if node.op_type in self.op_types]

    def _rounded(self, model: onnx.ModelProto, tensor: str, ranges: Ranges) -> list[onnx.NodeProto]:
        kept = ranges[tensor]
        scale = self.step * (max(kept.high, 0) - min(kept.low, 0)) / 255
        zero = np.clip(round(-min(kept.low, 0) / scale), 0, 255)
        constants: dict[str, npt.NDArray[np.generic]] = {
            f"{tensor}/scale": np.array(scale, np.float32),
            f"{tensor}/zero": np.array(zero, np.uint8),
        }
        model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
        return [
            helper.make_node("QuantizeLinear", [tensor, *constants], [f"{tensor}/integer"]),
            helper.make_node("DequantizeLinear", [f"{tensor}/integer", *constants], [f"{tensor}/back"]),
        ]


def _name(node: onnx.NodeProto) -> str:
    return node.name or node.output[0]


def _in(node: onnx.NodeProto, names: set[str]) -> bool:
    return _name(node) in names
