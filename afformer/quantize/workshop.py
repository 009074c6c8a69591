"""Makes candidates: the integer model with some units left in float, as a file, each once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import onnx

from afformer.quantize.lowering.report import Lowered, Report, Unit
from afformer.quantize.placement import Target
from afformer.quantize.ranges import Ranges
from afformer.spec import METADATA_KEY, ModelSpec, Precision


class Lowering(Protocol):
    """From float graph and ranges to the integer graph; `afformer.quantize.lowering` is one."""

    def prepare(self, model: onnx.ModelProto, /) -> onnx.ModelProto:
        """The float graph in the form that is quantized."""
        ...

    def tensors_to_observe(self, prepared: onnx.ModelProto, target: Target, /) -> Sequence[str]:
        """The tensors whose ranges `lower` needs."""
        ...

    def units(self, prepared: onnx.ModelProto, target: Target, /) -> Sequence[Unit]:
        """What goes float or integer together."""
        ...

    def lower(
        self,
        prepared: onnx.ModelProto,
        ranges: Ranges,
        target: Target,
        keep_float: frozenset[str] = frozenset(),
        weight_bits: int = 8,
    ) -> Lowered:
        """The integer graph, with the nodes named in `keep_float` left in float."""
        ...


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An INT8 model.

    Attributes:
        path: Its file.
        report: What lowering did and left.
    """

    path: Path
    report: Report


class Workshop:
    """Makes candidates of one prepared model.

    Args:
        lowering: Makes the integer graph.
        prepared: The float graph in the form that is quantized.
        ranges: Of the tensors it observes.
        target: What the model is made for.
        weight_bits: Bits of the weights, 8 or 7.
        spec: The float model's.
        folder: Where the files go.
        corrected: The prepared graph with corrected biases; they are used in the units that are integer, because in
            float there is no rounding to make up for. No correction if left out.
    """

    def __init__(
        self,
        lowering: Lowering,
        prepared: onnx.ModelProto,
        ranges: Ranges,
        *,
        target: Target,
        weight_bits: int,
        spec: ModelSpec,
        folder: Path,
        corrected: onnx.ModelProto | None = None,
    ) -> None:
        self._lowering, self._prepared, self._ranges = lowering, prepared, ranges
        self._target, self._weight_bits, self._folder, self._corrected = target, weight_bits, folder, corrected
        tools = {**spec.tools, "onnx": onnx.__version__}
        self._spec = dataclasses.replace(spec, precision=Precision.INT8, tools=tools)
        self.units = {unit.name: unit for unit in lowering.units(prepared, target)}
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
        nodes = frozenset(node for unit in floats for node in self.units[unit].nodes)
        lowered = self._lowering.lower(self._source(floats), self._ranges, self._target, nodes, self._weight_bits)
        for entry in [entry for entry in lowered.model.metadata_props if entry.key == METADATA_KEY]:
            lowered.model.metadata_props.remove(entry)
        lowered.model.metadata_props.add(key=METADATA_KEY, value=self._spec.to_json())
        return lowered

    def _source(self, floats: frozenset[str]) -> onnx.ModelProto:
        if self._corrected is None:
            return self._prepared
        integer = {node for name, unit in self.units.items() if name not in floats for node in unit.nodes}
        return _spliced(self._prepared, self._corrected, integer)


def _spliced(original: onnx.ModelProto, changed: onnx.ModelProto, names: set[str]) -> onnx.ModelProto:
    """The original with the named nodes as they are in `changed`, which has the same nodes in the same order."""
    spliced = onnx.ModelProto()
    spliced.CopyFrom(original)
    known = {constant.name for constant in original.graph.initializer}
    spliced.graph.initializer.extend(new for new in changed.graph.initializer if new.name not in known)
    del spliced.graph.node[:]
    pairs = zip(original.graph.node, changed.graph.node, strict=True)
    spliced.graph.node.extend(new if old.name in names else old for old, new in pairs)
    return spliced
