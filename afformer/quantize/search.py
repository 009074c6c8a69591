"""Which units to leave in float: ranker, evaluator and two loops that know nothing of graphs.

First for accuracy. The search tests first whether the limit is met already. Otherwise it returns units to float, the
most harmful first, keeps each reversion that reduces the drop, and stops when the limit is met. Units that turn out to
be unnecessary in float go back to integers.

Then for speed. Units that are still integer are timed against their float selves, in groups and in one alternating run:
the effect of a single unit is lost in the noise, and a unit alone in float pays for conversions that its neighbours
would share. Groups that are slower as integers are reverted, if all of them together are faster and within the limit.
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
"""Points lost against float; less is better."""
Latencies = Callable[[Sequence[C]], Sequence[float]]
"""Seconds of one run of each candidate, measured in turns. Only figures from the same call can be compared."""

BUDGET = 60
"""Candidates that are scored by default."""
MARGIN = 0.01
"""Share of the latency that a reversion must save; anything less is noise."""


class Why(enum.Enum):
    """Why a unit stays in float."""

    ACCURACY = "accuracy"
    SPEED = "speed"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One change that was tried.

    Attributes:
        units: The units whose format was changed.
        to_float: To float, or back to integers.
        why: For accuracy or for speed.
        before: Points of drop before (`ACCURACY`), or seconds (`SPEED`).
        after: The same with the change.
        kept: Whether the change was kept.
    """

    units: tuple[str, ...]
    to_float: bool
    why: Why
    before: float
    after: float
    kept: bool


@dataclasses.dataclass(frozen=True)
class SearchLog:
    """What the search did.

    Attributes:
        evaluations: How many candidates were scored.
        exhausted: Whether the budget ended before the units did.
        steps: What was tried, in order.
    """

    evaluations: int
    exhausted: bool
    steps: tuple[Trial, ...]


@dataclasses.dataclass(frozen=True)
class Outcome(Generic[C]):
    """Where the search ended.

    Attributes:
        candidate: The best one found.
        reverted: The units that stay in float, and why.
        drop: Its drop, in points.
        met: Whether that is within the limit.
        log: What was tried.
    """

    candidate: C
    reverted: dict[str, Why]
    drop: float
    met: bool
    log: SearchLog


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
    """Leaves in float as few units as the limit needs, and the units that are slower as integers.

    Args:
        units: All units, the most harmful first, as `ranked` orders them.
        build: Makes a candidate with the given units left in float.
        score: Its drop, in points.
        limit: The drop that is allowed; inf allows any.
        latencies: Times candidates; None skips the search for speed.
        groups: Units that are timed together; None times each by itself.
        budget: Candidates to score at most.
        margin: Share of the latency that a reversion for speed must save.
    """
    run = _Run(build, score, limit, budget)
    _revert(run, units)
    _trim(run)
    if latencies is not None and run.affordable():
        _revert_slow(run, groups or [[unit] for unit in units], latencies, margin)
    return run.outcome()


def ranked(harm: dict[str, float]) -> list[str]:
    """Units by the harm they do, the most harmful first; equal ones in the order given."""
    return sorted(harm, key=lambda unit: -harm[unit])


class _Run(Generic[C]):
    """The search's state; scores each set of units once and counts what the budget still allows."""

    def __init__(self, build: Build[C], score: Score[C], limit: float, budget: int) -> None:
        self.build, self._score, self.limit, self._budget = build, score, limit, budget
        self._scored: dict[frozenset[str], float] = {}
        self.reverted: dict[str, Why] = {}
        self.gain: dict[str, float] = {}
        self.trials: list[Trial] = []
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
            log=SearchLog(len(self._scored), self.exhausted, tuple(self.trials)),
        )


def _revert(run: _Run[C], units: Sequence[str]) -> None:
    """Returns units to float until the limit is met."""
    for unit in units:
        if run.met or not run.affordable():
            return
        drop = run.score(run.floats | {unit})
        kept = drop < run.drop
        run.trials.append(Trial((unit,), True, Why.ACCURACY, run.drop, drop, kept))
        if kept:
            run.reverted[unit], run.gain[unit] = Why.ACCURACY, run.drop - drop
            run.drop = drop


def _trim(run: _Run[C]) -> None:
    """Returns to integers, the least useful first, the units that the limit does not need in float."""
    if not run.met:
        return
    for unit in sorted(run.reverted, key=run.gain.__getitem__):
        if not run.affordable():
            return
        drop = run.score(run.floats - {unit})
        kept = drop <= run.limit
        run.trials.append(Trial((unit,), False, Why.ACCURACY, run.drop, drop, kept))
        if kept:
            del run.reverted[unit]
            run.drop = drop


def _revert_slow(run: _Run[C], groups: Sequence[Sequence[str]], latencies: Latencies[C], margin: float) -> None:
    """Returns to float what is slower as integers: all of it, or if that gains nothing, the better half, and so on."""
    slow = _slow(run, groups, latencies, margin)
    while slow and run.affordable():
        units = [unit for group in slow for unit in group]
        floats = run.floats.union(units)
        before, after = latencies([run.build(run.floats), run.build(floats)])
        kept = after < (1 - margin) * before and run.score(floats) <= max(run.limit, run.drop)
        run.trials.append(Trial(tuple(units), True, Why.SPEED, before, after, kept))
        if kept:
            run.reverted.update(dict.fromkeys(units, Why.SPEED))
            run.drop = run.score(floats)
            return
        slow = slow[: len(slow) // 2]


def _slow(
    run: _Run[C], groups: Sequence[Sequence[str]], latencies: Latencies[C], margin: float
) -> list[tuple[str, ...]]:
    """The integer parts of the groups that would be faster in float, the largest gain first."""
    integers = [tuple(unit for unit in group if unit not in run.reverted) for group in groups]
    integers = [group for group in integers if group]
    now, *alone = latencies([run.build(run.floats.union(group)) for group in ((), *integers)])
    saved = {group: 1 - seconds / now for group, seconds in zip(integers, alone, strict=True)}
    return sorted((group for group in integers if saved[group] > margin), key=lambda group: -saved[group])
