from __future__ import annotations

import pytest

from afformer.measure.certainty import all_rounds, decided, precise, uncertainty

STEADY = [0.50, 0.51, 0.50, 0.49, 0.50]
NOISY = [0.5, 1.5, 0.6, 1.4, 1.0]


def test_a_ratio_far_from_the_threshold_is_decided() -> None:
    assert decided(0.99)(STEADY)
    assert decided(0.01)(STEADY)


def test_a_ratio_near_the_threshold_or_noisy_rounds_are_not_decided() -> None:
    assert not decided(0.505)(STEADY)
    assert not decided(0.99)(NOISY)


def test_steady_rounds_are_precise() -> None:
    assert precise(0.05)(STEADY)
    assert not precise(0.001)(STEADY)
    assert not precise(0.05)(NOISY)


@pytest.mark.parametrize("count", range(4))
def test_a_few_rounds_are_never_enough(count: int) -> None:
    assert not decided(1.0)([0.5] * count)
    assert not precise(0.1)([0.5] * count)


def test_all_rounds_are_run_unless_something_is_asked() -> None:
    assert not all_rounds([0.5] * 100)


def test_four_times_the_rounds_halve_the_uncertainty() -> None:
    assert uncertainty([0.9, 1.1] * 8) == pytest.approx(uncertainty([0.9, 1.1] * 32) * 2)
