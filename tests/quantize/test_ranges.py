from __future__ import annotations

import math

import pytest

from afformer.quantize.ranges import Range


@pytest.mark.parametrize(
    ("low", "high"), [(1.0, 0.0), (math.nan, 1.0), (0.0, math.nan), (-math.inf, 0.0), (0.0, math.inf)]
)
def test_a_range_must_be_two_finite_numbers_in_order(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="two finite numbers"):
        Range(low, high)


def test_a_constant_tensor_has_a_range() -> None:
    assert Range(3.0, 3.0) == Range(3.0, 3.0)
