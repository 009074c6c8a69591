"""How long models take, compared fairly: each in its own process, the processes taking turns.

Thread pools of two backends in one process disturb each other, and a machine's speed drifts from minute to minute. So
models take turns in bursts of a few calls, the first of which does not count; a figure is a median over all bursts, and
models are compared burst by burst. On a noisy machine trust the ratios, not the milliseconds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from afformer.errors import BackendError
from afformer.measure.certainty import Enough, all_rounds
from afformer.progress import Progress, no_progress
from afformer.runtime.batches import groups
from afformer.runtime.opening import DEFAULT, OpenOptions

ROUNDS = 12
CALLS = 5
_LOADED = 6
"""Models in memory at a time."""
_WORKER = "from afformer.measure.timing_worker import serve; serve()"

BurstT = TypeVar("BurstT")
FactsT = TypeVar("FactsT")


@dataclasses.dataclass(frozen=True)
class Case:
    """What is timed.

    Attributes:
        path: The model file.
        open_options: How it is opened.
        plugin: A module that the process imports first, which may register further backends.
        name: What it is called in tables; the file's name if empty.
    """

    path: Path
    open_options: OpenOptions = DEFAULT
    plugin: str | None = None
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Timing:
    """How long a case takes.

    Attributes:
        seconds: Median of one call.
        ratio: To the first case: median over the rounds of this one's median to that one's.
        ratio_low: Lower quartile of these ratios.
        ratio_high: Upper quartile of them.
        engine: Backend, version and device, for people; reports in JSON have it under this name.
    """

    seconds: float
    ratio: float
    ratio_low: float
    ratio_high: float
    engine: str


@dataclasses.dataclass(frozen=True)
class CaseBursts(Generic[BurstT, FactsT]):
    """What one case did.

    Attributes:
        bursts: Round by round.
        reference: What the first case did in the same rounds.
        facts: What was asked after them.
    """

    bursts: list[BurstT]
    reference: list[BurstT]
    facts: FactsT


def time_models(
    cases: Sequence[Case],
    *,
    rounds: int = ROUNDS,
    calls: int = CALLS,
    enough: Enough = all_rounds,
    progress: Progress = no_progress,
) -> list[Timing]:
    """Times models against the first one.

    More than a few take turns group by group; the first one runs in every group, and the others' seconds are given as
    if all had run in the first group.

    Args:
        cases: The reference, then the others.
        rounds: Bursts of each, at most.
        calls: Calls of a burst that count; one more warms up.
        enough: Asked about each case's ratios after each round; a case that has enough is not run again.
        progress: Told after each round how many are done.

    Raises:
        BackendError: A model cannot be opened or run.
    """

    def has_enough(bursts: list[list[float]], reference: list[list[float]]) -> bool:
        return enough(_ratios(bursts, reference))

    measured = take_turns(
        cases,
        lambda worker: worker.burst(calls),
        lambda worker: worker.description,
        rounds=rounds,
        progress=progress,
        enough=has_enough,
    )
    return [_timing(one, measured[0]) for one in measured]


def take_turns(
    cases: Sequence[Case],
    burst: Callable[[Worker], BurstT],
    facts: Callable[[Worker], FactsT],
    *,
    rounds: int = ROUNDS,
    progress: Progress = no_progress,
    enough: Callable[[list[BurstT], list[BurstT]], bool] = lambda bursts, reference: False,
) -> list[CaseBursts[BurstT, FactsT]]:
    """Makes models take turns, a few of them at a time, the first one always among them.

    Args:
        cases: The reference, then the others.
        burst: What each does in each round. A round that does not count comes first: it wakes caches and clocks.
        facts: What each is asked after its rounds.
        rounds: Turns of each, at most.
        progress: Told after each round how many are done.
        enough: Asked after each round about what a case and the first one did; a case that has enough takes no more
            turns.

    Returns:
        In the order of the cases.

    Raises:
        BackendError: A model cannot be opened or run.
    """
    reference, others = cases[0], cases[1:]
    together = [[reference, *group] for group in groups(others, _LOADED - 1)] or [[reference]]
    measured: list[CaseBursts[BurstT, FactsT]] = []
    for number, group in enumerate(together):

        def tell(done: int, before: int = number * rounds) -> None:
            progress("rounds", before + done, len(together) * rounds)

        first, *rest = _group_turns(group, burst, facts, rounds=rounds, tell=tell, enough=enough)
        measured += rest if measured else [first, *rest]
    return measured


def _group_turns(
    cases: Sequence[Case],
    burst: Callable[[Worker], BurstT],
    facts: Callable[[Worker], FactsT],
    *,
    rounds: int,
    tell: Callable[[int], None],
    enough: Callable[[list[BurstT], list[BurstT]], bool],
) -> list[CaseBursts[BurstT, FactsT]]:
    bursts: list[list[BurstT]] = [[] for _ in cases]
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(_worker(case)) for case in cases]
        for worker in workers:  # wakes caches and clocks
            burst(worker)
        tell(0)
        others = list(range(1, len(cases)))
        for done in range(1, rounds + 1):
            for index in (0, *others):
                bursts[index].append(burst(workers[index]))
            others = [index for index in others if not enough(bursts[index], bursts[0])]
            if len(cases) > 1 and not others:
                tell(rounds)
                break
            tell(done)
        pairs = zip(bursts, workers, strict=True)
        return [CaseBursts(kept, bursts[0][: len(kept)], facts(worker)) for kept, worker in pairs]


def _timing(one: CaseBursts[list[float], str], first: CaseBursts[list[float], str]) -> Timing:
    seconds = median_of_all(one.bursts) * drift(first.bursts, one.reference)
    return Timing(seconds, *ratio_quartiles(one.bursts, one.reference), one.facts)


def drift(first: Sequence[Sequence[float]], reference: Sequence[Sequence[float]]) -> float:
    """How much slower the first group ran than this one, by the reference's seconds, which ran in both."""
    return median_of_all(first) / median_of_all(reference)


def median_of_all(bursts: Sequence[Sequence[float]]) -> float:
    """Median over the calls of all bursts."""
    return statistics.median(seconds for burst in bursts for seconds in burst)


def ratio_quartiles(
    bursts: Sequence[Sequence[float]], reference: Sequence[Sequence[float]]
) -> tuple[float, float, float]:
    """Median, lower and upper quartile over the rounds of a burst's median to the reference's."""
    ratios = _ratios(bursts, reference)
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return middle, low, high


def _ratios(bursts: Sequence[Sequence[float]], reference: Sequence[Sequence[float]]) -> list[float]:
    pairs = zip(bursts, reference, strict=True)
    return [statistics.median(ours) / statistics.median(theirs) for ours, theirs in pairs]


class Worker:
    """One model in a process of its own; `afformer.measure.timing_worker` is the other side.

    Attributes:
        case: The model and how it is opened.
        description: Backend, version and device, for people.
        load_seconds: From opening the file to the first answer, the import of the backend's package included.
    """

    def __init__(self, case: Case, process: subprocess.Popen[str], errors: IO[bytes]) -> None:
        self.case, self._process, self._errors = case, process, errors
        opened = self._answer(pickle.dumps(case).hex())
        self.description = str(opened["description"])
        self.load_seconds = float(opened["load_seconds"])

    def burst(self, calls: int) -> list[float]:
        """Seconds of each of some calls in a row, after one that warms up."""
        return [float(seconds) for seconds in self.ask("burst", calls)]

    def ask(self, question: str, *arguments: Any) -> Any:
        """The answer to one of the questions of `afformer.measure.timing_worker`.

        Raises:
            BackendError: The model cannot be run, or the process ended.
        """
        return self._answer(json.dumps([question, *arguments]))["answer"]

    def _answer(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None, "the process was started with pipes"
        assert self._process.stdout is not None, "the process was started with pipes"
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        except (OSError, ValueError) as error:
            self._errors.seek(0)
            last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
            raise BackendError(
                f"{self.case.path}: the process that times it ended ({''.join(last) or 'without a message'})"
            ) from error
        if "error" in answer:
            raise BackendError(f"{self.case.path}: cannot be timed: {answer['error']}")
        return answer


@contextlib.contextmanager
def _worker(case: Case) -> Iterator[Worker]:
    if getattr(sys, "frozen", False):
        raise BackendError(
            "models are timed in Python processes, which a frozen program cannot start; run Python itself"
        )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
        with process:
            try:
                yield Worker(case, process, errors)
            finally:
                process.kill()
