"""What came out of a quantization, as plain data and as JSON. `page` makes the HTML of it."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from pathlib import Path
from typing import Any

from afformer.files import replacing
from afformer.quantize.accuracy import Accuracy
from afformer.quantize.search import Step
from afformer.quantize.verdict import Bargain


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
class Speed:
    """How the two were compared.

    Attributes:
        ratio: INT8 latency over float latency, median of the rounds.
        ratio_low: Lower quartile of the rounds.
        ratio_high: Upper quartile of the rounds.
        engine: What they ran on.
    """

    ratio: float
    ratio_low: float
    ratio_high: float
    engine: str


@dataclasses.dataclass(frozen=True)
class Layer:
    """A unit of the graph that is integer or float as a whole.

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
class Conversions:
    """Steps between number formats or layouts that are left in the graph, of one kind and reason.

    Attributes:
        op_type: DequantizeLinear, QuantizeLinear or Transpose.
        reason: Why they are there.
        steps: The tensor of each, and why that one is converted.
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
        low: Smallest value that survives.
        high: Largest value that survives.
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
class CalibrationNotes:
    """Where the ranges come from.

    Attributes:
        method: How they were chosen.
        pictures: Number of pictures.
        cache: The file that holds them.
        source: Whether they were read from there or made, and why.
        warnings: What is wrong with the pictures, a sentence each.
    """

    method: str
    pictures: int
    cache: Path
    source: str
    warnings: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class SearchNotes:
    """What the search did.

    Attributes:
        evaluations: Candidates that were scored.
        exhausted: Whether its budget ended it.
        steps: What was tried, in order.
    """

    evaluations: int
    exhausted: bool
    steps: tuple[Step, ...]


@dataclasses.dataclass(frozen=True)
class QuantizeReport:
    """Everything about one quantization.

    Attributes:
        target: What the model is made for.
        written: Whether the model was handed over.
        classes: Class names.
        input_hw: Height and width of the model's input.
        bargain: What was asked for and what came out.
        before: The float model.
        after: The INT8 model.
        speed: How they were compared.
        calibration: Where the ranges come from.
        layers: Units, the noisiest first.
        float_nodes: What stayed in float, by reason.
        conversions: Steps between formats and layouts that are left, most frequent first.
        tensors: Tensors, the worst fitting range first.
        search: What the search did.
        seconds: Duration of the whole job.
    """

    target: str
    written: bool
    classes: tuple[str, ...]
    input_hw: tuple[int, int]
    bargain: Bargain
    before: Measured
    after: Measured
    speed: Speed
    calibration: CalibrationNotes
    layers: tuple[Layer, ...]
    float_nodes: tuple[FloatNodes, ...]
    conversions: tuple[Conversions, ...]
    tensors: tuple[TensorNoise, ...]
    search: SearchNotes
    seconds: float

    def count(self, op_type: str) -> int:
        """How many conversion steps of a kind are left."""
        return sum(len(left.steps) for left in self.conversions if left.op_type == op_type)

    def summary(self) -> str:
        """A few lines for people."""
        deal = self.bargain
        size = f"Size {self.before.bytes / 1e6:.2f} MB -> {self.after.bytes / 1e6:.2f} MB."
        return "\n".join([deal.accuracy(), deal.speed(), size, *self.calibration.warnings, *deal.advice()])

    def to_json(self) -> str:
        """The report as one JSON object; what is not a finite number becomes null."""
        fields = {"verdict": verdict_fields(self.bargain), **dataclasses.asdict(self)}
        return json.dumps(_plain(fields), indent=1, allow_nan=False) + "\n"


def verdict_fields(bargain: Bargain) -> dict[str, Any]:
    """The verdict in words and as booleans."""
    return {
        "success": bargain.success,
        "within_the_drop": bargain.accurate,
        "faster": bargain.faster,
        "accuracy": bargain.accuracy(),
        "speed": bargain.speed(),
        "advice": bargain.advice(),
    }


def write_json(report: QuantizeReport, path: Path) -> None:
    """Writes the report.

    Raises:
        OutputError: The file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(report.to_json(), encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, enum.Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value
