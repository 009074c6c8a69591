"""The search against a fake runner: planted bad units must be found, planted slow ones reverted."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afformer.quantize.search import Outcome, Trial, Why, ranked, search

Floats = frozenset[str]


@dataclasses.dataclass
class FakeRunner:
    """Candidates are the sets of units in float themselves.

    Attributes:
        harm: Points that each unit costs as an integer.
        saves: Share of the latency that each unit saves as an integer; below zero it costs.
    """

    harm: dict[str, float]
    saves: dict[str, float] = dataclasses.field(default_factory=dict)
    scored: list[Floats] = dataclasses.field(default_factory=list)
    timed: list[list[Floats]] = dataclasses.field(default_factory=list)

    def build(self, floats: Floats) -> Floats:
        return floats

    def score(self, candidate: Floats) -> float:
        self.scored.append(candidate)
        return sum(points for unit, points in self.harm.items() if unit not in candidate)

    def latencies(self, candidates: Sequence[Floats]) -> list[float]:
        self.timed.append(list(candidates))
        return [1 - sum(share for unit, share in self.saves.items() if unit not in c) for c in candidates]

    def search(self, limit: float, *, timed: bool = False, budget: int = 60) -> Outcome[Floats]:
        order = ranked(self.harm)
        latencies = self.latencies if timed else None
        return search(order, self.build, self.score, limit, latencies=latencies, budget=budget)


def test_success_is_tested_before_anything_is_reverted() -> None:
    runner = FakeRunner({"a": 0.1, "b": 0.2})
    outcome = runner.search(0.5)
    assert runner.scored == [frozenset()]
    assert (outcome.met, outcome.reverted, outcome.log.steps) == (True, {}, ())


def test_a_planted_bad_unit_is_found_and_nothing_else_is_reverted() -> None:
    runner = FakeRunner({"good": 0.01, "bad": 3.0, "fair": 0.05})
    outcome = runner.search(0.1)
    assert outcome.reverted == {"bad": Why.ACCURACY}
    assert outcome.candidate == {"bad"}
    assert outcome.drop == pytest.approx(0.06)


def test_the_most_harmful_units_go_first_until_the_limit_is_met() -> None:
    outcome = FakeRunner({"a": 1.0, "b": 4.0, "c": 2.0, "d": 0.1}).search(1.2)
    assert set(outcome.reverted) == {"b", "c"}
    assert [step.units for step in outcome.log.steps if step.to_float] == [("b",), ("c",)]


def test_a_reversion_that_gives_nothing_back_is_undone() -> None:
    runner = FakeRunner({"loud": 1.0, "bad": 0.8})
    outcome = search(["idle", "loud", "bad"], runner.build, runner.score, 0.5)
    assert outcome.log.steps[0] == Trial(("idle",), True, Why.ACCURACY, 1.8, 1.8, kept=False)
    assert set(outcome.reverted) == {"loud", "bad"}


def test_what_a_later_reversion_made_superfluous_goes_back_to_integers() -> None:
    runner = FakeRunner({"small": 0.2, "large": 3.0})
    outcome = search(["small", "large"], runner.build, runner.score, 0.5)
    assert outcome.reverted == {"large": Why.ACCURACY}
    assert outcome.log.steps[-2] == Trial(("small",), False, Why.ACCURACY, 0.0, 0.2, kept=True)


def test_an_unreachable_limit_is_reported_with_the_best_that_was_found() -> None:
    def score(floats: Floats) -> float:
        return 5.0 + (0 if "bad" in floats else 1)  # something that no unit is to blame for

    outcome = search(["bad", "good"], frozenset, score, 1.0)
    assert not outcome.met
    assert not outcome.log.exhausted
    assert (outcome.drop, outcome.reverted) == (5.0, {"bad": Why.ACCURACY})


def test_the_budget_ends_the_search_and_says_so() -> None:
    runner = FakeRunner({f"unit {i}": 1.0 for i in range(10)})
    outcome = runner.search(0.0, budget=4)
    assert (outcome.log.evaluations, outcome.log.exhausted, outcome.met) == (4, True, False)
    assert len(runner.scored) == 4
    assert outcome.drop == 7.0


def test_nothing_is_timed_that_the_budget_would_not_let_be_scored() -> None:
    runner = FakeRunner({"a": 0.1}, saves={"a": -0.5})
    outcome = runner.search(0.5, timed=True, budget=1)
    assert runner.timed == []
    assert (outcome.met, outcome.log.exhausted) == (True, True)


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 10), min_size=1),
    st.floats(0, 20),
    st.integers(1, 30),
)
def test_promises_hold_for_any_harm_limit_and_budget(harm: dict[str, float], limit: float, budget: int) -> None:
    runner = FakeRunner(harm)
    outcome = runner.search(limit, budget=budget)
    assert outcome.met == (outcome.drop <= limit)
    assert outcome.candidate == frozenset(outcome.reverted)
    assert outcome.drop == FakeRunner(harm).score(outcome.candidate)
    assert outcome.log.evaluations == len(runner.scored) == len(set(runner.scored)) <= budget
    assert outcome.met or outcome.log.exhausted or set(outcome.reverted) == {unit for unit in harm if harm[unit] > 0}


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0.1, 10), min_size=1), st.floats(0, 20))
def test_no_single_unit_is_in_float_needlessly(harm: dict[str, float], limit: float) -> None:
    outcome = FakeRunner(harm).search(limit, budget=1000)
    for unit in outcome.reverted:
        assert FakeRunner(harm).score(outcome.candidate - {unit}) > limit


def test_a_planted_slow_unit_is_reverted_for_speed() -> None:
    runner = FakeRunner({"fast": 0.0, "slow": 0.0}, {"fast": 0.3, "slow": -0.1})
    outcome = runner.search(1.0, timed=True)
    assert outcome.reverted == {"slow": Why.SPEED}
    last = outcome.log.steps[-1]
    assert last == Trial(("slow",), True, Why.SPEED, last.before, last.after, kept=True)
    assert (last.before, last.after) == pytest.approx((0.8, 0.7))


def test_without_groups_every_integer_unit_is_timed_against_its_float_self_in_one_run() -> None:
    runner = FakeRunner({"a": 0.0, "b": 2.0}, {"a": 0.1, "b": 0.1})
    runner.search(1.0, timed=True)
    assert runner.timed == [[frozenset({"b"}), frozenset({"b", "a"})]]


def test_groups_are_timed_as_a_whole_and_without_what_is_in_float_already() -> None:
    runner = FakeRunner({"a": 0.0, "b": 2.0, "c": 0.0, "d": 0.0}, {"a": -0.1, "c": 0.02, "d": 0.02})
    groups = [["a", "b"], ["b"], ["c", "d"]]
    outcome = search(ranked(runner.harm), runner.build, runner.score, 1.0, latencies=runner.latencies, groups=groups)
    assert runner.timed[0] == [{"b"}, {"a", "b"}, {"b", "c", "d"}]
    assert outcome.reverted == {"b": Why.ACCURACY, "a": Why.SPEED}


def test_savings_within_the_noise_revert_nothing() -> None:
    runner = FakeRunner({"a": 0.0}, {"a": -0.005})
    outcome = runner.search(1.0, timed=True)
    assert (outcome.reverted, outcome.log.steps, len(runner.timed)) == ({}, (), 1)


def test_slow_units_that_gain_nothing_together_are_halved() -> None:
    class Conflicting(FakeRunner):
        def latencies(self, candidates: Sequence[Floats]) -> list[float]:
            return [{0: 1.0, 1: 0.9, 2: 1.1}[len(candidate)] for candidate in candidates]

    outcome = Conflicting({"a": 0.0, "b": 0.0}).search(1.0, timed=True)
    assert len(outcome.reverted) == 1
    assert [step.kept for step in outcome.log.steps] == [False, True]


def test_a_reversion_for_speed_that_costs_too_much_accuracy_is_not_kept() -> None:
    def score(floats: Floats) -> float:
        return 9.0 if "slow" in floats else 0.5

    runner = FakeRunner({}, {"slow": -0.2})
    outcome = search(["slow"], runner.build, score, 1.0, latencies=runner.latencies)
    assert (outcome.reverted, outcome.drop, outcome.met) == ({}, 0.5, True)


def test_any_drop_is_met_without_a_limit() -> None:
    outcome = FakeRunner({"a": 50.0}).search(math.inf)
    assert (outcome.met, outcome.log.evaluations) == (True, 1)


def test_units_are_ranked_by_harm_and_equal_ones_keep_their_order() -> None:
    assert ranked({"b": 1.0, "c": 3.0, "a": 1.0}) == ["c", "b", "a"]


def test_a_model_without_units_is_scored_as_it_is() -> None:
    outcome = FakeRunner({}, {}).search(1.0, timed=True)
    assert (outcome.met, outcome.candidate) == (True, frozenset())
