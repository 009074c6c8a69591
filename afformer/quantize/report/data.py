"""The report as data, as a few lines of text and as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from afformer.measure.pictures import Failure
from afformer.measure.tables import plain
from afformer.measure.timing import Timing
from afformer.quantize.accuracy import Accuracy
from afformer.quantize.search import SearchLog
from afformer.quantize.verdict import Verdict

_CALIBRATION_KEYS = {"ranges_file": "cache", "origin": "source"}
_REPORT_KEYS = {"verdict": "bargain", "units": "layers"}
"""Keys of the JSON, whose format is older than the fields' names."""
NOTEWORTHY = 0.5
"""Points of IoU by which a class must change to be mentioned."""
_LISTED = 3


@dataclasses.dataclass(frozen=True)
class Measured:
    """One model.

    Attributes:
        path: Its file.
        bytes: Size of the file.
        seconds: Median latency of one call.
        accuracy: Against the float model and, if there were any, the labels.
    """

    path: Path
    bytes: int
    seconds: float
    accuracy: Accuracy


@dataclasses.dataclass(frozen=True)
class UnitNoise:
    """A unit, and how much noise it adds.

    Attributes:
        name: The unit.
        nodes: Its nodes.
        sqnr_db: Signal-to-noise ratio of the logits with only this unit in integers; inf if that changes nothing.
        in_float: Why it stays in float; None if it does not.
    """

    name: str
    nodes: tuple[str, ...]
    sqnr_db: float
    in_float: str | None


@dataclasses.dataclass(frozen=True)
class FloatNodes:
    """Nodes that stayed in float for the same reason."""

    reason: str
    nodes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ConversionGroup:
    """Conversions of one kind that are left in the graph for the same reason.

    Attributes:
        op_type: DequantizeLinear, QuantizeLinear or Transpose.
        reason: Why they are there.
        steps: Of each, the tensor and its own reason.
    """

    op_type: str
    reason: str
    steps: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class TensorNoise:
    """How well a tensor's range fits it, over some pictures.

    Attributes:
        name: The tensor.
        node: The node that makes it; empty for the model's input.
        low: Smallest value that INT8 keeps.
        high: Largest value that INT8 keeps.
        clipped: Share of the values outside, 0..1.
        sqnr_db: Signal-to-noise ratio of rounding and clipping this tensor.
    """

    name: str
    node: str
    low: float
    high: float
    clipped: float
    sqnr_db: float


@dataclasses.dataclass(frozen=True)
class ClassChange:
    """IoU of one class, before and after, 0..1."""

    name: str
    before: float
    after: float

    @property
    def points(self) -> float:
        """Points gained."""
        return 100 * (self.after - self.before)


@dataclasses.dataclass(frozen=True)
class CalibrationNotes:
    """Where the ranges come from.

    Attributes:
        method: How they were chosen.
        pictures: Number of pictures.
        ranges_file: The file that holds them.
        origin: Whether they were read from there or calibrated, and why.
        warnings: What is wrong with the pictures, one sentence each.
    """

    method: str
    pictures: int
    ranges_file: Path
    origin: str
    warnings: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class QuantizeReport:
    """Everything about one quantization.

    Attributes:
        target: What the model is made for.
        written: Whether the model was written.
        classes: Class names.
        input_hw: Height and width of the model's input.
        verdict: What was asked for and what came out.
        before: The float model.
        after: The INT8 model.
        speed: The INT8 model's latency against the float model's.
        calibration: Where the ranges come from.
        units: Units, the noisiest first.
        float_nodes: What stayed in float, by reason.
        conversions: Conversions that are left, by kind and reason, the most frequent first.
        tensors: Tensors, the worst fitting range first.
        search: What the search did.
        seconds: Duration of the whole quantization.
        failures: Validation pictures that could not be used.
        notes: What there is to say about the validation labels, one sentence each.
    """

    target: str
    written: bool
    classes: tuple[str, ...]
    input_hw: tuple[int, int]
    verdict: Verdict
    before: Measured
    after: Measured
    speed: Timing
    calibration: CalibrationNotes
    units: tuple[UnitNoise, ...]
    float_nodes: tuple[FloatNodes, ...]
    conversions: tuple[ConversionGroup, ...]
    tensors: tuple[TensorNoise, ...]
    search: SearchLog
    seconds: float
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()

    def count(self, op_type: str) -> int:
        """How many conversions of a kind are left."""
        return sum(len(group.steps) for group in self.conversions if group.op_type == op_type)

    def class_changes(self) -> tuple[ClassChange, ...]:
        """The classes that occur."""
        changes = map(ClassChange, self.classes, self.before.accuracy.per_class_iou, self.after.accuracy.per_class_iou)
        return tuple(change for change in changes if not (math.isnan(change.before) and math.isnan(change.after)))

    def losses(self) -> tuple[ClassChange, ...]:
        """The classes that lose most, the worst first: the mean hides them."""
        lost = sorted((change for change in self.class_changes() if change.points < -NOTEWORTHY), key=_points)
        return tuple(lost[:_LISTED])

    def losses_sentence(self) -> str:
        """These classes in one sentence; empty if no class loses more than `NOTEWORTHY` points."""
        listed = [f"{c.name} {-c.points:.1f} points ({c.before:.1%} -> {c.after:.1%})" for c in self.losses()]
        against = "labels" if self.after.accuracy.miou is not None else "float model's class maps"
        return f"Classes that lose most IoU against the {against}: {', '.join(listed)}." if listed else ""

    def summary(self) -> str:
        """A few lines of text; parameters are named in backticks."""
        verdict = self.verdict
        size = f"Size {self.before.bytes / 1e6:.2f} MB -> {self.after.bytes / 1e6:.2f} MB."
        losses = [sentence] if (sentence := self.losses_sentence()) else []
        return "\n".join(
            [
                *(verdict.accuracy(), *losses, *self.notes),
                *(
                    f"{verdict.speed()} Measured on {self.speed.engine}.",
                    size,
                    *self.calibration.warnings,
                    *verdict.advice(),
                ),
            ]
        )

    def to_json(self) -> str:
        """The report as one JSON object; numbers that are not finite become null."""
        fields = plain(self)
        del fields["speed"]["seconds"]  # stands in `after`
        fields["calibration"] = _renamed(fields["calibration"], _CALIBRATION_KEYS)
        fields["losses"] = plain(self.losses())
        fields = {"verdict": _judgement(self.verdict), **_renamed(fields, _REPORT_KEYS)}
        return json.dumps(fields, indent=1, allow_nan=False) + "\n"


def _points(change: ClassChange) -> float:
    return change.points


def _judgement(verdict: Verdict) -> dict[str, Any]:
    return {
        "success": verdict.success,
        "within_the_drop": verdict.accurate,
        "faster": verdict.faster,
        "accuracy": verdict.accuracy(),
        "speed": verdict.speed(),
        "advice": verdict.advice(),
    }


def _renamed(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in fields.items()}
