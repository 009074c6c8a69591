"""Makes candidates: INT8 models with some units left in float, each written to a file once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import onnx

from afformer.quantize import lowering
from afformer.quantize.lowering import Lowered, LoweringReport
from afformer.quantize.lowering.graph import Graph, rebuilt
from afformer.quantize.placement import Target
from afformer.quantize.ranges import Ranges


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An INT8 model.

    Attributes:
        path: Its file.
        report: What lowering did.
    """

    path: Path
    report: LoweringReport


class Candidates:
    """Makes the candidates of one float model.

    Args:
        canonical: The float model that `lowering.canonicalize` returned.
        ranges: Ranges of the tensors that `lowering.tensors_to_observe` names.
        target: What the model is made for.
        weight_bits: Bits of the weights, 8 or 7.
        folder: Where the files go.
        opset: ONNX operator set of the candidates; None takes the canonical model's.
        corrected: The canonical model with corrected biases, or None for no correction. The corrections are used in
            integer units only, because in float there is no rounding to make up for.

    Attributes:
        units: What goes integer or float together, by name.
    """

    def __init__(
        self,
        canonical: onnx.ModelProto,
        ranges: Ranges,
        *,
        target: Target,
        weight_bits: int,
        folder: Path,
        opset: int | None = None,
        corrected: onnx.ModelProto | None = None,
    ) -> None:
        self._canonical, self._ranges = Graph(canonical), ranges
        self._corrected = None if corrected is None else Graph(corrected)
        self._target, self._weight_bits, self._folder = target, weight_bits, folder
        self._opset = opset
        self.units = {unit.name: unit for unit in lowering.units(canonical, target)}
        self._made: dict[frozenset[str], Candidate] = {}

    def build(self, floats: frozenset[str]) -> Candidate:
        """The candidate with the given units in float."""
        if floats not in self._made:
            lowered = self._lower(floats)
            path = self._folder / f"{len(self._made)}.onnx"
            onnx.save(lowered.model, path)
            self._made[floats] = Candidate(path, lowered.report)
        return self._made[floats]

    def model(self, floats: frozenset[str]) -> onnx.ModelProto:
        """The same in memory, and not kept."""
        return self._lower(floats).model

    def _lower(self, floats: frozenset[str]) -> Lowered:
        model = self._canonical.model
        if self._corrected is not None:
            integer = self._nodes(self.units.keys() - floats)
            replaced = {node.name: [node] for node in self._corrected.nodes if node.name in integer}
            model = rebuilt(self._canonical, replaced, self._corrected.constants)
        return lowering.lower(
            model, self._ranges, self._target, self._nodes(floats), self._weight_bits, opset=self._opset
        )

    def _nodes(self, units: Iterable[str]) -> frozenset[str]:
        return frozenset(node for unit in units for node in self.units[unit].nodes)
