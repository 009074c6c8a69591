"""How long models take, compared fairly: each in its own process, the processes taking turns.

Thread pools of two engines in one process disturb each other, and a machine's speed drifts from minute to minute. So
models take turns in bursts of a few calls, the first of which does not count; a figure is a median over all bursts, and
models are compared burst by burst. On a noisy machine trust the ratios, not the milliseconds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from afformer.errors import BackendError

ROUNDS = 12
CALLS = 5
_HEAT = 6
"""Models that are in memory at a time."""
_WORKER = "from afformer.measure.timing_worker import serve; serve()"

Turn = TypeVar("Turn")
Last = TypeVar("Last")
Seen = Callable[[int, int], None]
"""Told how many rounds are done, of how many."""


def unseen(done: int, total: int) -> None:
    """The progress that nobody sees."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """A model on an engine.

    Attributes:
        path: The model file.
        backend: The backend's name; by the file's ending if left out.
        threads: CPU threads; 0 leaves the choice to the engine.
        device: Where to run; None is the CPU, except for engines of a GPU.
        input_hw: Size to run a checkpoint at; an exported model has its own.
        plugin: A module that the process imports first, which may register further backends.
    """

    path: Path
    backend: str | None = None
    threads: int = 0
    device: str | None = None
    input_hw: tuple[int, int] | None = None
    plugin: str | None = None


@dataclasses.dataclass(frozen=True)
class Timing:
    """What was measured for one contender.

    Attributes:
        seconds: Median of one call, in seconds.
        ratio: To the first contender: median over the rounds of this one's median to that one's.
        ratio_low: Lower quartile of these ratios.
        ratio_high: Upper quartile of them.
        engine: Engine, version and device, for people.
    """

    seconds: float
    ratio: float
    ratio_low: float
    ratio_high: float
    engine: str


@dataclasses.dataclass(frozen=True)
class Lap(Generic[Turn, Last]):
    """What one contender did.

    Attributes:
        turns: Round by round.
        reference: What the first contender did in the same rounds.
        last: What it was asked after them.
    """

    turns: list[Turn]
    reference: list[Turn]
    last: Last


def race(
    contenders: Sequence[Contender], *, rounds: int = ROUNDS, calls: int = CALLS, seen: Seen = unseen
) -> list[Timing]:
    """Times models against the first one.

    More than a few take turns in heats; the first one runs in every heat, and the others' seconds are given as if all
    had run in the first.

    Args:
        contenders: The reference, then the others.
        rounds: Bursts of each.
        calls: Calls of a burst that count; one more warms up.
        seen: Told after each round how many are done, of how many.

    Raises:
        BackendError: A model cannot be opened or run.
    """
    laps = take_turns(contenders, lambda worker: worker.burst(calls), lambda worker: worker.engine, rounds, seen)
    return [_timing(lap, laps[0]) for lap in laps]


def take_turns(
    contenders: Sequence[Contender],
    turn: Callable[[Worker], Turn],
    last: Callable[[Worker], Last],
    rounds: int = ROUNDS,
    seen: Seen = unseen,
) -> list[Lap[Turn, Last]]:
    """Lets contenders do something in turns, a few of them at a time, the first one always among them.

    Args:
        contenders: The reference, then the others.
        turn: What each does in each round. A round that does not count comes first: it wakes caches and clocks.
        last: What each is asked after its rounds.
        rounds: Turns of each.
        seen: Told after each round how many are done, of how many.

    Returns:
        A lap for each contender, in order.

    Raises:
        BackendError: A model cannot be opened or run.
    """
    first, others = contenders[0], contenders[1:]
    heats = [others[start : start + _HEAT - 1] for start in range(0, len(others), _HEAT - 1)] or [()]
    laps: list[Lap[Turn, Last]] = []
    for number, heat in enumerate(heats):
        tell = functools.partial(_tell, seen, number * rounds, len(heats) * rounds)
        reference, *timed = _heat([first, *heat], turn, last, rounds, tell)
        laps += timed if laps else [reference, *timed]
    return laps


def _heat(
    contenders: Sequence[Contender],
    turn: Callable[[Worker], Turn],
    last: Callable[[Worker], Last],
    rounds: int,
    seen: Callable[[int], None],
) -> list[Lap[Turn, Last]]:
    turns: list[list[Turn]] = [[] for _ in contenders]
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(_worker(contender)) for contender in contenders]
        for done in range(rounds + 1):
            for worker, kept in zip(workers, turns, strict=True):
                result = turn(worker)
                if done:
                    kept.append(result)
            seen(done)
        return [Lap(kept, turns[0], last(worker)) for worker, kept in zip(workers, turns, strict=True)]


def _tell(seen: Seen, before: int, total: int, done: int) -> None:
    seen(before + done, total)


def _timing(lap: Lap[list[float], str], first: Lap[list[float], str]) -> Timing:
    # How fast the machine was in this heat is seen in the reference, which ran in all of them.
    drift = median_of_all(first.turns) / median_of_all(lap.reference)
    return Timing(median_of_all(lap.turns) * drift, *ratio_quartiles(lap.turns, lap.reference), lap.last)


def median_of_all(turns: Sequence[Sequence[float]]) -> float:
    """Median over the calls of all turns."""
    return statistics.median(seconds for turn in turns for seconds in turn)


def ratio_quartiles(
    turns: Sequence[Sequence[float]], reference: Sequence[Sequence[float]]
) -> tuple[float, float, float]:
    """Median, lower and upper quartile over the rounds of a turn's median to the reference's."""
    pairs = zip(turns, reference, strict=True)
    ratios = [statistics.median(ours) / statistics.median(theirs) for ours, theirs in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return middle, low, high


class Worker:
    """One model in a process of its own; `afformer.measure.timing_worker` is the other side."""

    def __init__(self, contender: Contender, process: subprocess.Popen[str], errors: IO[bytes]) -> None:
        self.contender, self._process, self._errors = contender, process, errors
        opened = self._answer(dataclasses.asdict(contender) | {"path": str(contender.path)})
        self.engine = str(opened["engine"])
        """Engine, version and device, for people."""
        self.load_seconds = float(opened["load_seconds"])
        """From opening the file to the first answer, the engine's own import included."""

    def burst(self, calls: int) -> list[float]:
        """Seconds of each of some calls in a row, after one that warms up."""
        return [float(seconds) for seconds in self.ask("burst", calls)]

    def ask(self, question: str, *arguments: Any) -> Any:
        """The answer to one of the questions of `afformer.measure.timing_worker`.

        Raises:
            BackendError: The model cannot be run, or the process ended.
        """
        return self._answer([question, *arguments])["answer"]

    def _answer(self, question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None, "the process was started with pipes"
        assert self._process.stdout is not None, "the process was started with pipes"
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        except (OSError, ValueError) as error:
            self._errors.seek(0)
            last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
            raise BackendError(
                f"{self.contender.path}: the process that times it ended ({''.join(last) or 'without a word'})"
            ) from error
        if "error" in answer:
            raise BackendError(f"{self.contender.path}: cannot be timed: {answer['error']}")
        return answer


@contextlib.contextmanager
def _worker(contender: Contender) -> Iterator[Worker]:
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
                yield Worker(contender, process, errors)
            finally:
                process.kill()
