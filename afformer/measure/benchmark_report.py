"""What a benchmark found: one table for people, one JSON object for machines."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from afformer.measure.machine import Machine
from afformer.measure.operator_profile import OperatorTime
from afformer.measure.pictures import Failure
from afformer.measure.tables import aligned, milliseconds, plain
from afformer.measure.timing import Case


@dataclasses.dataclass(frozen=True)
class Latency:
    """Percentiles of the seconds of one call of the network."""

    p50: float
    p90: float
    p99: float


@dataclasses.dataclass(frozen=True)
class Profile:
    """Where the time of one call goes.

    Attributes:
        slowest: The operators that take most of the time, the slowest first.
        total: Seconds of all operators together.
        missing: Why there is none; empty if there is one.
    """

    slowest: tuple[OperatorTime, ...] = ()
    total: float = 0.0
    missing: str = ""


@dataclasses.dataclass(frozen=True)
class Facts:
    """What does not change from call to call.

    Attributes:
        backend: The backend's name.
        description: Backend, version and device, for people.
        precision: Number format inside the model.
        input_hw: Input size, in pixels.
        batch: Pictures of a call.
        load_seconds: From opening the file to the first answer, the import of the backend's package included.
        peak_bytes: The most memory that its process had; None where the system does not tell.
        profile: Where the time goes, if that was asked for.
    """

    backend: str
    description: str
    precision: str
    input_hw: tuple[int, int]
    batch: int
    load_seconds: float
    peak_bytes: int | None
    profile: Profile | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """One model on one backend with one number of threads.

    Attributes:
        case: What ran.
        facts: What does not change from call to call.
        inference: Of the network alone.
        preprocess: Median seconds from the decoded picture to the network's input.
        postprocess: Median seconds from the network's output to the class map at the picture's size.
        ratio: Inference to the first row's: median over the rounds, then lower and upper quartile.
        pictures_per_second: With everything from the decoded picture to its class map.
        file_bytes: Size of the model file, and of the weights that some formats keep beside it.
        miou: Mean IoU on labelled pictures, 0..1, if they were given.
    """

    case: Case
    facts: Facts
    inference: Latency
    preprocess: float
    postprocess: float
    ratio: tuple[float, float, float]
    pictures_per_second: float
    file_bytes: int
    miou: float | None = None

    @property
    def name(self) -> str:
        """What it is called in the table."""
        return self.case.name or self.case.path.name

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`; times in seconds."""
        fields: dict[str, Any] = plain(self)
        case, facts = fields.pop("case"), fields.pop("facts")
        facts["engine"] = facts.pop("description")
        if facts["profile"]:
            facts["profile"]["dearest"] = facts["profile"].pop("slowest")  # its name in the format
        case_fields = {"name": self.name, "path": case["path"], "threads": case["open_options"]["threads"]}
        return {**case_fields, **facts, **fields}


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """What was measured; the first row is the reference.

    Attributes:
        rows: In the order of the cases.
        machine: Where.
        picture: The picture that was segmented.
        calls: Calls of each row that count.
        failures: Labelled pictures that could not be used.
        notes: What there is to say about the labels, one sentence each.
    """

    rows: tuple[Row, ...]
    machine: Machine
    picture: Path
    calls: int
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`; times in seconds."""
        return dict(plain(self)) | {"rows": [row.to_json() for row in self.rows]}

    def to_table(self) -> str:
        """The machine, a line a row, and the profiles."""
        heads, cells = zip(*_columns(self.rows), strict=True)
        lines = aligned([list(heads), *map(list, zip(*cells, strict=True))], left=("model", "input", "backend"))
        note = (
            f"times in ms, of {self.calls} calls a row on {self.picture.name}, taking turns; pre: from the picture to "
            "the network's input, post: from its output to the class map; trust the ratios more than the milliseconds"
        )
        profiles = [line for row in self.rows for line in _profile_lines(row)]
        return "\n".join([self.machine.to_text(), "", *lines, "", note, *self.notes, *profiles])


def _columns(rows: Sequence[Row]) -> list[tuple[str, list[str]]]:
    columns = [
        ("model", [row.name for row in rows]),
        ("input", ["x".join(map(str, row.facts.input_hw)) for row in rows]),
        ("backend", [row.facts.backend for row in rows]),
        ("threads", [str(row.case.open_options.threads or "auto") for row in rows]),
        *((name, [milliseconds(getattr(row.inference, name)) for row in rows]) for name in ("p50", "p90", "p99")),
        ("ratio", [f"{row.ratio[0]:.3f}" for row in rows]),
        ("quartiles", ["{1:.2f}..{2:.2f}".format(*row.ratio) for row in rows]),
        ("pre", [milliseconds(row.preprocess) for row in rows]),
        ("post", [milliseconds(row.postprocess) for row in rows]),
        ("pictures/s", [f"{row.pictures_per_second:.1f}" for row in rows]),
        ("load s", [f"{row.facts.load_seconds:.2f}" for row in rows]),
        ("peak MB", [f"{row.facts.peak_bytes / 1e6:.0f}" if row.facts.peak_bytes else "-" for row in rows]),
        ("file MB", [f"{row.file_bytes / 1e6:.1f}" for row in rows]),
    ]
    if any(row.miou is not None for row in rows):
        columns.append(("mIoU %", ["-" if row.miou is None else f"{100 * row.miou:.2f}" for row in rows]))
    return columns


def _profile_lines(row: Row) -> list[str]:
    profile = row.facts.profile
    if profile is None:
        return []
    if profile.missing:
        return ["", f"{row.name}: {profile.missing}"]
    total = profile.total
    cells = [[milliseconds(op.seconds), f"{op.seconds / total:.1%}", op.kind, op.name] for op in profile.slowest]
    head = f"slowest operators of {row.name} on {row.facts.description}, of {milliseconds(total)} ms a call"
    return ["", head, *aligned([["ms", "share", "kind", "operator"], *cells], left=("kind", "operator"))]
