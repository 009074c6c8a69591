from __future__ import annotations

import dataclasses

import pytest

from afformer.quantize.verdict import Verdict

GOOD = Verdict(drop=0.1, measure="mIoU", max_drop=0.2, agreement=0.995, ratio=0.55)


def test_within_the_drop_and_faster_is_a_success_and_needs_no_advice() -> None:
    assert GOOD.success
    assert GOOD.accepted
    assert GOOD.advice() == []
    assert GOOD.speed() == "Faster than float: 0.55 of its latency, 1.82 times as fast."
    assert GOOD.accuracy().startswith("Within the drop: loses 0.10 points of mIoU, the limit is 0.2; 99.50% of pixels")


def test_slower_than_float_fails_and_says_by_how_much() -> None:
    slow = dataclasses.replace(GOOD, ratio=1.3)
    assert not slow.accepted
    assert "1.30 of its latency" in slow.speed()
    assert "`allow_slower`" in slow.advice()[0]


def test_as_fast_as_float_is_not_faster() -> None:
    assert not dataclasses.replace(GOOD, ratio=1.0).success


def test_too_large_a_drop_fails_and_says_by_how_much() -> None:
    bad = dataclasses.replace(GOOD, drop=1.5)
    assert not bad.accepted
    assert "loses 1.50 points of mIoU, 1.30 points more than the limit of 0.2" in bad.accuracy()
    assert "`allow_drop`" in bad.advice()[0]


@pytest.mark.parametrize(
    ("drop", "ratio", "allow_drop", "allow_slower", "accepted"),
    [
        (1.0, 0.5, True, False, True),
        (1.0, 0.5, False, True, False),
        (0.0, 1.5, False, True, True),
        (0.0, 1.5, True, False, False),
        (1.0, 1.5, True, False, False),
        (1.0, 1.5, True, True, True),
    ],
)
def test_each_permission_covers_its_own_failure_only(
    drop: float, ratio: float, allow_drop: bool, allow_slower: bool, accepted: bool
) -> None:
    verdict = dataclasses.replace(GOOD, drop=drop, ratio=ratio, allow_drop=allow_drop, allow_slower=allow_slower)
    assert verdict.accepted is accepted
    assert not verdict.success


def test_without_a_limit_any_drop_is_within_it() -> None:
    verdict = dataclasses.replace(GOOD, max_drop=None, drop=7.0)
    assert verdict.success
    assert verdict.accuracy() == "Loses 7.00 points of mIoU; 99.50% of pixels have the float model's class."


def test_without_a_limit_poor_agreement_is_warned_of() -> None:
    verdict = dataclasses.replace(GOOD, max_drop=None, agreement=0.98)
    assert verdict.success
    assert "Fewer than 99% of pixels agree" in verdict.advice()[0]


def test_a_gain_is_not_called_a_loss() -> None:
    assert "loses nothing of mIoU" in dataclasses.replace(GOOD, drop=-0.3).accuracy()


def test_an_exhausted_budget_is_named_as_what_to_change() -> None:
    assert "`budget`" in dataclasses.replace(GOOD, drop=2.0, exhausted=True).advice()[0]


def test_a_foreign_target_is_to_be_measured_there() -> None:
    assert "This machine is not the target" in dataclasses.replace(GOOD, ratio=2.0, foreign=True).advice()[0]


def test_a_failure_says_what_does_not_hold_and_what_to_try() -> None:
    both = dataclasses.replace(GOOD, drop=1.5, ratio=1.2)
    assert both.failure() == " ".join([both.accuracy(), both.speed(), *both.advice()])
    assert dataclasses.replace(GOOD, ratio=1.2).failure().startswith("Not faster than float")
