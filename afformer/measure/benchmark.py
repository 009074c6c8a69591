"""Speed, memory, size and accuracy of models side by side.

Every model, backend and number of threads runs in its own process, and they take turns (see `afformer.measure.timing`).
The times are those of `Segmenter` on a picture; ratios compare round by round with the first row.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from afformer import assets
from afformer.datasets import AS_THE_DATA_SET_HAS_THEM, LabelOptions
from afformer.errors import ImageError
from afformer.measure.benchmark_report import Benchmark, Facts, Latency, Profile, Row
from afformer.measure.evaluation import evaluate_model
from afformer.measure.machine import Machine
from afformer.measure.operator_profile import PROFILED, OperatorTime, has_profile
from afformer.measure.results import Evaluation
from afformer.measure.timing import Case, CaseBursts, Worker, drift, median_of_all, ratio_quartiles, take_turns
from afformer.progress import Progress, no_progress
from afformer.runtime.opening import DEFAULT, OpenOptions, with_spec_where_due

CALLS = 100
_BURST = 5
_SLOWEST = 10
_PROFILED_CALLS = 20

_Frames = list[tuple[float, float, float]]
"""Seconds before, in and after the network, call by call."""


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Pictures with labels.

    Attributes:
        images: Folder of pictures.
        labels: Folder of labels.
        dataset: Whose label convention to follow; None takes the model's own data set.
        label_options: What the ids in the labels mean, where they differ from that convention.
    """

    images: Path
    labels: Path
    dataset: str | None = None
    label_options: LabelOptions = AS_THE_DATA_SET_HAS_THEM


def cases_of(
    models: Sequence[Path],
    *,
    backends: Sequence[str] = (),
    threads: Sequence[int] = (0,),
    open_options: OpenOptions = DEFAULT,
) -> list[Case]:
    """Every model on every backend with every number of threads.

    Args:
        models: Model files or checkpoints.
        backends: Names; chosen by the files' suffixes if empty.
        threads: Numbers of CPU threads; 0 leaves the choice to the backend.
        open_options: The rest of how they are opened. The spec is for those of them that have none.

    Raises:
        BackendError: A spec is given, and a model cannot be opened to see whether it has one.
    """
    due = with_spec_where_due(models, open_options)
    return [
        Case(model, dataclasses.replace(due[model], backend=backend, threads=count))
        for model, backend, count in itertools.product(models, backends or (None,), threads)
    ]


def benchmark_models(
    cases: Sequence[Case],
    picture: Path | None = None,
    *,
    calls: int = CALLS,
    profile: bool = False,
    labelled: Labelled | None = None,
    progress: Progress = no_progress,
) -> Benchmark:
    """Measures models against the first one.

    Args:
        cases: The reference, then the others.
        picture: What to segment, since the time around the network depends on its size; a bundled picture if None.
        calls: Calls of each that count, rounded up to whole bursts.
        profile: Find each model's slowest operators, too.
        labelled: What to measure mIoU on; once for cases that differ in their threads alone. None measures none.
        progress: Told how many rounds are done.

    Raises:
        AfformerError: A model cannot be opened or run, or none of the labelled pictures can be used.
    """
    picture, rounds = picture or assets.pictures()[0], max(1, -(-calls // _BURST))
    scores = _scores(cases, labelled) if labelled else {}  # first, because labels may be wrong
    measured = take_turns(
        cases, lambda worker: _frames(worker, picture), _FactsOf(profile), rounds=rounds, progress=progress
    )
    rows = [
        _row(case, scores.get(_scored(case)), found, measured[0].bursts)
        for case, found in zip(cases, measured, strict=True)
    ]
    failures = dict.fromkeys(failure for score in scores.values() for failure in score.failures)
    notes = dict.fromkeys(f"{case.path.name}: {note}" for case in cases for note in _notes(scores, case))
    return Benchmark(tuple(rows), Machine.here(), picture, rounds * _BURST, tuple(failures), tuple(notes))


def _frames(worker: Worker, picture: Path) -> _Frames:
    return [(before, inside, after) for before, inside, after in worker.ask("frames", _BURST, str(picture))]


class _FactsOf:
    """Asks a worker for its facts, and for a profile the first time that a model is met on a backend."""

    def __init__(self, profile: bool) -> None:
        self._profile = profile
        self._profiled: set[tuple[Path, str]] = set()

    def __call__(self, worker: Worker) -> Facts:
        facts = worker.ask("facts")  # before the profile, which takes memory of its own
        facts["input_hw"] = tuple(facts["input_hw"])
        key = worker.case.path, facts["backend"]
        due = self._profile and key not in self._profiled
        self._profiled.add(key)
        profile = _profile(worker, facts["backend"]) if due else None
        return Facts(description=worker.description, load_seconds=worker.load_seconds, profile=profile, **facts)


def _profile(worker: Worker, backend: str) -> Profile:
    if not has_profile(backend, worker.case.open_options.device):
        return Profile(missing=f"{backend} does not measure single operators; {PROFILED} do")
    operators = [OperatorTime(*operator) for operator in worker.ask("operators", _PROFILED_CALLS)]
    return Profile(tuple(operators[:_SLOWEST]), sum(operator.seconds for operator in operators))


def _row(case: Case, score: Evaluation | None, measured: CaseBursts[_Frames, Facts], first: Sequence[_Frames]) -> Row:
    before, inference, after = (_part(measured.bursts, part) for part in range(3))
    reference = _part(measured.reference, 1)
    scale = drift(_part(first, 1), reference)
    p50, p90, p99 = np.percentile([seconds for burst in inference for seconds in burst], (50, 90, 99)) * scale
    whole = statistics.mean(sum(frame) for burst in measured.bursts for frame in burst) * scale
    return Row(
        case=case,
        facts=measured.facts,
        inference=Latency(float(p50), float(p90), float(p99)),
        preprocess=median_of_all(before) * scale,
        postprocess=median_of_all(after) * scale,
        ratio=ratio_quartiles(inference, reference),
        pictures_per_second=measured.facts.batch / whole,
        file_bytes=_file_bytes(case.path),
        miou=score.miou if score else None,
    )


def _file_bytes(path: Path) -> int:
    weights = path.with_suffix(".bin"), path.with_name(f"{path.name}.data")
    return sum(file.stat().st_size for file in (path, *weights) if file.exists())


def _part(bursts: Sequence[_Frames], part: int) -> list[list[float]]:
    return [[frame[part] for frame in burst] for burst in bursts]


_Scored = tuple[Path, OpenOptions]
"""What a score depends on."""


def _scored(case: Case) -> _Scored:
    return case.path, dataclasses.replace(case.open_options, threads=0)


def _notes(scores: Mapping[_Scored, Evaluation], case: Case) -> tuple[str, ...]:
    return scores[_scored(case)].notes if scores else ()


def _scores(cases: Sequence[Case], labelled: Labelled) -> dict[_Scored, Evaluation]:
    found: dict[_Scored, Evaluation] = {}
    for case in cases:
        if _scored(case) not in found:
            found[_scored(case)] = _score(case, labelled)
    return found


def _score(case: Case, labelled: Labelled) -> Evaluation:
    result = evaluate_model(
        case.path,
        labelled.images,
        labelled.labels,
        dataset=labelled.dataset,
        label_options=labelled.label_options,
        open_options=case.open_options,
    )
    if not result.pictures and result.failures:
        raise ImageError(f"none of {len(result.failures)} pictures can be used; the first: {result.failures[0].reason}")
    return result
