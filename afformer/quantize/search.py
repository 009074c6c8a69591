"""Which units to leave in float: ranker, evaluator and the two loops, told nothing of graphs.

First for accuracy. Success is tested before anything is reverted; then the units are tried, the most harmful first, a
reversion is kept if it gives something back, and the search stops when the limit is met. What turned out superfluous
goes back to integers.

Then for speed. What is still integer is timed against its float self, group by group in one alternating run: a single
unit of many is lost in the noise, and one that stands alone in float pays for conversions that its neighbours would
share. Groups that cost more than they save are reverted, if their sum is faster, too, and still within the limit.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

C = TypeVar("C")
"""A candidate: what `build` makes of a set of units left in float."""

Build = Callable[[frozenset[str]], C]
Score = Callable[[C], float]
"""How much worse than float, in points; less is better."""
Latencies = Callable[[Sequence[C]], Sequence[float]]
"""Seconds a call of each, measured in turns: only figures of one call can be compared."""

BUDGET = 60
"""Candidates that are scored, unless told otherwise."""
MARGIN = 0.01
"""Share of the latency that a reversion must save: below that it is noise."""


class Why(enum.Enum):
    """Why a unit stays in float."""

    ACCURACY = "accuracy"
    SPEED = "speed"


@dataclasses.dataclass(frozen=True)
class Step:
    """One thing that was tried.

    Attributes:
        units: The units whose format was changed.
        to_float: Whether to float, or back to integers.
        why: For which of the two.
        before: Points of drop before (`ACCURACY`), or seconds (`SPEED`).
        after: The same afterwards.
        kept: Whether the change was kept.
    """

    units: tuple[str, ...]
    to_float: bool
    why: Why
    before: float
    after: float
    kept: bool


@dataclasses.dataclass(frozen=True)
class Outcome(Generic[C]):
    """Where the search ended.

    Attributes:
        candidate: The best one found.
        reverted: Why, by unit, for all that stay in float.
        drop: Its drop, in points.
        met: Whether that is within the limit.
        steps: What was tried, in order.
        evaluations: How many candidates were scored.
        exhausted: Whether the budget ended before the units did.
    """

    candidate: C
    reverted: dict[str, Why]
    drop: float
    met: bool
    steps: tuple[Step, ...]
    evaluations: int
    exhausted: bool


def search(
    units: Sequence[str],
    build: Build[C],
    score: Score[C],
    limit: float,
    *,
    latencies: Latencies[C] | None = None,
    groups: Sequence[Sequence[str]] | None = None,
    budget: int = BUDGET,
    margin: float = MARGIN,
) -> Outcome[C]:
    """Leaves as few units in float as the limit needs, and those that are slower as integers.

    Args:
        units: All units, the most harmful first, as `ranked` orders them.
        build: Makes a candidate with the given units left in float.
        score: Its drop, in points.
        limit: The drop that is allowed; inf if any is.
        latencies: Times candidates; no pass for speed if left out.
        groups: Units that are timed together; each by itself if left out.
        budget: Candidates to score at most.
        margin: Share of the latency that a reversion for speed must save.
    """
    run = _Run(build, score, limit, budget)
    _revert(run, units)
    _trim(run)
    if latencies is not None:
        _quicken(run, groups or [[unit] for unit in units], latencies, margin)
    return run.outcome()


def ranked(harm: dict[str, float]) -> list[str]:
    """Units by the harm they do, the most harmful first; equal ones in the order given."""
    return sorted(harm, key=lambda unit: -harm[unit])


class _Run(Generic[C]):
    """The search's state, and its evaluator: scores each set of units once and keeps to the budget."""

    def __init__(self, build: Build[C], score: Score[C], limit: float, budget: int) -> None:
        self.build, self._score, self.limit, self._budget = build, score, limit, budget
        self._scored: dict[frozenset[str], float] = {}
        self.reverted: dict[str, Why] = {}
        self.gain: dict[str, float] = {}
        self.steps: list[Step] = []
        self.exhausted = False
        self.drop = self.score(frozenset())

    @property
    def met(self) -> bool:
        return self.drop <= self.limit

    @property
    def floats(self) -> frozenset[str]:
        return frozenset(self.reverted)

    def score(self, floats: frozenset[str]) -> float:
        if floats not in self._scored:
            self._scored[floats] = self._score(self.build(floats))
        return self._scored[floats]

    def affordable(self) -> bool:
        self.exhausted = len(self._scored) >= self._budget
        return not self.exhausted

    def outcome(self) -> Outcome[C]:
        return Outcome(
            candidate=self.build(self.floats),
            reverted=dict(self.reverted),
            drop=self.drop,
            met=self.met,
            steps=tuple(self.steps),
            evaluations=len(self._scored),
            exhausted=self.exhausted,
        )


def _revert(run: _Run[C], units: Sequence[str]) -> None:
    """To float, until the limit is met."""
    for unit in units:
        if run.met or not run.affordable():
            return
        drop = run.score(run.floats | {unit})
        kept = drop < run.drop
        run.steps.append(Step((unit,), True, Why.ACCURACY, run.drop, drop, kept))
        if kept:
            run.reverted[unit], run.gain[unit] = Why.ACCURACY, run.drop - drop
            run.drop = drop


def _trim(run: _Run[C]) -> None:
    """Back to integers, the least useful first, what the limit does not need."""
    if not run.met:
        return
    for unit in sorted(run.reverted, key=run.gain.__getitem__):
        if not run.affordable():
            return
        drop = run.score(run.floats - {unit})
        kept = drop <= run.limit
        run.steps.append(Step((unit,), False, Why.ACCURACY, run.drop, drop, kept))
        if kept:
            del run.reverted[unit]
            run.drop = drop


def _quicken(run: _Run[C], groups: Sequence[Sequence[str]], latencies: Latencies[C], margin: float) -> None:
    """To float what is slower as integers: all of it, or if the sum is no gain, the better half, and so on."""
    slow = _slow(run, groups, latencies, margin)
    while slow and run.affordable():
        units = [unit for group in slow for unit in group]
        floats = run.floats.union(units)
        before, after = latencies([run.build(run.floats), run.build(floats)])
        kept = after < (1 - margin) * before and run.score(floats) <= max(run.limit, run.drop)
        run.steps.append(Step(tuple(units), True, Why.SPEED, before, after, kept))
        if kept:
            run.reverted.update(dict.fromkeys(units, Why.SPEED))
            run.drop = run.score(floats)
            return
        slow = slow[: len(slow) // 2]


def _slow(
    run: _Run[C], groups: Sequence[Sequence[str]], latencies: Latencies[C], margin: float
) -> list[tuple[str, ...]]:
    """The groups, as far as they are integer, that would be faster in float, the most rewarding first."""
    integers = [tuple(unit for unit in group if unit not in run.reverted) for group in groups]
    integers = [group for group in integers if group]
    now, *alone = latencies([run.build(run.floats.union(group)) for group in ((), *integers)])
    saved = {group: 1 - seconds / now for group, seconds in zip(integers, alone, strict=True)}
    return sorted((group for group in integers if saved[group] > margin), key=lambda group: -saved[group])
