"""Speed, memory, size and accuracy of models side by side: one table for people, one JSON object for machines.

Every model, engine and number of threads runs in its own process, and they take turns (see `afformer.measure.timing`).
The times are those of `Segmenter` on a picture; ratios compare round by round with the first row.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from afformer.measure.machine import Machine
from afformer.measure.operator_profile import PROFILED, OperatorTime, has_profile
from afformer.measure.timing import Contender, Lap, Seen, Worker, median_of_all, ratio_quartiles, take_turns, unseen

CALLS = 100
_BURST = 5
_DEAREST = 10
_PROFILED_CALLS = 20

_Frames = list[tuple[float, float, float]]
"""Seconds before, in and after the network, call by call."""


@dataclasses.dataclass(frozen=True)
class Latency:
    """Seconds of one call of the network.

    Attributes:
        p50: Median.
        p90: Nine in ten calls are faster.
        p99: 99 in a hundred are.
    """

    p50: float
    p90: float
    p99: float


@dataclasses.dataclass(frozen=True)
class Profile:
    """Where the time of one call goes.

    Attributes:
        dearest: The operators that cost most, the dearest first.
        total: Seconds of all operators together.
        missing: Why there is none; empty if there is one.
    """

    dearest: tuple[OperatorTime, ...] = ()
    total: float = 0.0
    missing: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """One model on one engine with one number of threads.

    Attributes:
        contender: What ran.
        name: What it is called in the table.
        backend: The backend's name.
        engine: Engine, version and device.
        precision: Number format inside the model.
        input_hw: Its input size, in pixels.
        batch: Pictures of a call.
        inference: Of the network alone.
        preprocess: Median seconds from the decoded picture to the network's input.
        postprocess: Median seconds from the network's output to the class map at the picture's size.
        ratio: Inference to the first row's: median over the rounds, then lower and upper quartile.
        pictures_per_second: With everything from the decoded picture to its class map.
        load_seconds: From opening the file to the first answer, the engine's import included.
        peak_bytes: The most memory that its process had; None where the system does not tell.
        file_bytes: Size of the model file.
        miou: Mean IoU on labelled pictures, 0..1, if they were given.
        profile: If it was asked for.
    """

    contender: Contender
    name: str
    backend: str
    engine: str
    precision: str
    input_hw: tuple[int, int]
    batch: int
    inference: Latency
    preprocess: float
    postprocess: float
    ratio: tuple[float, float, float]
    pictures_per_second: float
    load_seconds: float
    peak_bytes: int | None
    file_bytes: int
    miou: float | None = None
    profile: Profile | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`; times in seconds."""
        fields = dataclasses.asdict(self) | {"path": str(self.contender.path), "threads": self.contender.threads}
        del fields["contender"]
        if self.profile:
            fields["profile"]["dearest"] = [operator._asdict() for operator in self.profile.dearest]
        return fields


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """What was measured; the first row is the reference.

    Attributes:
        rows: In the order of the contenders.
        machine: Where.
        picture: The picture that was segmented.
        calls: Calls of each row that count.
    """

    rows: tuple[Row, ...]
    machine: Machine
    picture: Path
    calls: int

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`; times in seconds."""
        return {
            "machine": self.machine.to_json(),
            "picture": str(self.picture),
            "calls": self.calls,
            "rows": [row.to_json() for row in self.rows],
        }

    def to_table(self) -> str:
        """Text for people: the machine, a line a row, and the profiles."""
        heads, cells = zip(*_columns(self.rows), strict=True)
        lines = aligned([list(heads), *map(list, zip(*cells, strict=True))])
        note = (
            f"times in ms, of {self.calls} calls a row on {self.picture.name}, taking turns; pre and post are the ways "
            "from the picture to the network and to the class map; trust ratios more than milliseconds"
        )
        profiles = [line for row in self.rows if row.profile for line in ("", *_profile_lines(row, row.profile))]
        return "\n".join([self.machine.to_text(), "", *lines, "", note, *profiles])


def benchmark(
    contenders: Sequence[Contender],
    picture: Path,
    *,
    calls: int = CALLS,
    profile: bool = False,
    names: Sequence[str] | None = None,
    accuracy: Callable[[Contender], float] | None = None,
    seen: Seen = unseen,
) -> Benchmark:
    """Measures contenders against the first one.

    Args:
        contenders: The reference, then the others.
        picture: What to segment: the time around the network depends on its size.
        calls: Calls of each that count, rounded up to whole bursts.
        profile: Ask each model's engine for its dearest operators, too.
        names: What the rows are called; the files' names if left out.
        accuracy: Gives a contender's mIoU, 0..1; asked once for a model on an engine, whatever the threads.
        seen: Told after each round how many are done, of how many.

    Raises:
        BackendError: A model cannot be opened or run.
        ImageError: The picture cannot be read.
    """
    rounds = max(1, -(-calls // _BURST))
    miou = _accuracies(contenders, accuracy) if accuracy else [None] * len(contenders)  # first: labels may be wrong
    laps = take_turns(contenders, lambda worker: _frames(worker, picture), _Closing(profile), rounds, seen)
    names = names or [contender.path.name for contender in contenders]
    rows = [_row(contender, name, lap, laps[0]) for contender, name, lap in zip(contenders, names, laps, strict=True)]
    rows = [dataclasses.replace(row, miou=value) for row, value in zip(rows, miou, strict=True)]
    return Benchmark(tuple(rows), Machine.here(), picture, rounds * _BURST)


def _frames(worker: Worker, picture: Path) -> _Frames:
    return [(before, inside, after) for before, inside, after in worker.ask("frames", _BURST, str(picture))]


@dataclasses.dataclass(frozen=True)
class _Facts:
    """What a worker says at the end: all that does not change from call to call."""

    engine: str
    load_seconds: float
    backend: str
    precision: str
    input_hw: tuple[int, int]
    batch: int
    peak_bytes: int | None
    profile: Profile | None


class _Closing:
    """Asks a worker for its facts, and for a profile the first time that a model is seen on an engine."""

    def __init__(self, profile: bool) -> None:
        self._profile = profile
        self._profiled: set[tuple[Path, str]] = set()

    def __call__(self, worker: Worker) -> _Facts:
        facts = worker.ask("facts")  # before the profile, which takes memory of its own
        facts["input_hw"] = tuple(facts["input_hw"])
        key = worker.contender.path, facts["backend"]
        wanted = self._profile and key not in self._profiled
        self._profiled.add(key)
        profile = _profile(worker, facts["backend"]) if wanted else None
        return _Facts(worker.engine, worker.load_seconds, profile=profile, **facts)


def _profile(worker: Worker, backend: str) -> Profile:
    if not has_profile(backend, worker.contender.device):
        return Profile(missing=f"{backend} does not tell what single operators cost; {PROFILED} do")
    operators = [OperatorTime(*operator) for operator in worker.ask("operators", _PROFILED_CALLS)]
    return Profile(tuple(operators[:_DEAREST]), sum(operator.seconds for operator in operators))


def _row(contender: Contender, name: str, lap: Lap[_Frames, _Facts], first: Lap[_Frames, _Facts]) -> Row:
    inference, reference = _part(lap.turns, 1), _part(lap.reference, 1)
    # More than a few contenders run in heats; how fast the machine was in each is seen in the first one's times.
    drift = median_of_all(_part(first.turns, 1)) / median_of_all(reference)
    facts = lap.last
    p50, p90, p99 = np.percentile([seconds for turn in inference for seconds in turn], (50, 90, 99)) * drift
    whole = statistics.mean(sum(frame) for turn in lap.turns for frame in turn) * drift
    return Row(
        contender=contender,
        name=name,
        backend=facts.backend,
        engine=facts.engine,
        precision=facts.precision,
        input_hw=facts.input_hw,
        batch=facts.batch,
        inference=Latency(float(p50), float(p90), float(p99)),
        preprocess=median_of_all(_part(lap.turns, 0)) * drift,
        postprocess=median_of_all(_part(lap.turns, 2)) * drift,
        ratio=ratio_quartiles(inference, reference),
        pictures_per_second=facts.batch / whole,
        load_seconds=facts.load_seconds,
        peak_bytes=facts.peak_bytes,
        file_bytes=_file_bytes(contender.path),
        profile=facts.profile,
    )


def _file_bytes(path: Path) -> int:
    """The model file and the weights that some formats keep beside it."""
    weights = path.with_suffix(".bin"), path.with_name(f"{path.name}.data")
    return sum(file.stat().st_size for file in (path, *weights) if file.exists())


def _part(turns: Sequence[_Frames], part: int) -> list[list[float]]:
    return [[frame[part] for frame in turn] for turn in turns]


def _accuracies(contenders: Sequence[Contender], accuracy: Callable[[Contender], float]) -> list[float | None]:
    """Of each contender; asked once for those that differ in their threads alone."""
    known: dict[Contender, float] = {}
    for contender in contenders:
        key = dataclasses.replace(contender, threads=0)
        if key not in known:
            known[key] = accuracy(contender)
    return [known[dataclasses.replace(contender, threads=0)] for contender in contenders]


def _columns(rows: Sequence[Row]) -> list[tuple[str, list[str]]]:
    columns = [
        ("model", [row.name for row in rows]),
        ("input", ["x".join(map(str, row.input_hw)) for row in rows]),
        ("engine", [row.backend for row in rows]),
        ("threads", [str(row.contender.threads or "auto") for row in rows]),
        *((name, [_ms(getattr(row.inference, name)) for row in rows]) for name in ("p50", "p90", "p99")),
        ("ratio", [f"{row.ratio[0]:.3f}" for row in rows]),
        ("quartiles", ["{1:.2f}..{2:.2f}".format(*row.ratio) for row in rows]),
        ("pre", [_ms(row.preprocess) for row in rows]),
        ("post", [_ms(row.postprocess) for row in rows]),
        ("pictures/s", [f"{row.pictures_per_second:.1f}" for row in rows]),
        ("load s", [f"{row.load_seconds:.2f}" for row in rows]),
        ("peak MB", [f"{row.peak_bytes / 1e6:.0f}" if row.peak_bytes else "-" for row in rows]),
        ("file MB", [f"{row.file_bytes / 1e6:.1f}" for row in rows]),
    ]
    if any(row.miou is not None for row in rows):
        columns.append(("mIoU %", ["-" if row.miou is None else f"{100 * row.miou:.2f}" for row in rows]))
    return columns


def _profile_lines(row: Row, profile: Profile) -> list[str]:
    if profile.missing:
        return [f"{row.name}: {profile.missing}"]
    total = profile.total
    cells = [[_ms(op.seconds), f"{op.seconds / total:.1%}", op.kind, op.name] for op in profile.dearest]
    head = f"dearest operators of {row.name} on {row.engine}, of {_ms(total)} ms a call"
    return [head, *aligned([["ms", "share", "kind", "operator"], *cells], left=("kind", "operator"))]


def aligned(rows: Sequence[Sequence[str]], left: Sequence[str] = ("model", "input", "engine")) -> list[str]:
    """Lines of columns with a rule under the first row, which names them; those in `left` are aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if head in left else cell.rjust(width)
            for cell, width, head in zip(row, widths, rows[0], strict=True)
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}" if seconds < 0.1 else f"{seconds * 1e3:.0f}"
