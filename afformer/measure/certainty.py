"""When enough rounds were timed: rules for `time_models`.

The median of n ratios is uncertain by about 1.57 IQR / sqrt(n), the notch of a box plot: in 19 of 20 cases two medians
that are further apart differ (McGill, Tukey and Larsen, 1978).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

Enough = Callable[[Sequence[float]], bool]
"""Whether the ratios of the rounds so far are enough."""

_FEWEST = 4
"""Rounds without which nothing is certain."""


def decided(threshold: float) -> Enough:
    """Enough to know on which side of a threshold the median is."""

    def enough(ratios: Sequence[float]) -> bool:
        return len(ratios) >= _FEWEST and abs(statistics.median(ratios) - threshold) > uncertainty(ratios)

    return enough


def precise(share: float) -> Enough:
    """Enough to know the median to within some share of it."""

    def enough(ratios: Sequence[float]) -> bool:
        return len(ratios) >= _FEWEST and uncertainty(ratios) <= share * statistics.median(ratios)

    return enough


def all_rounds(ratios: Sequence[float]) -> bool:
    """Never enough."""
    return False


def uncertainty(ratios: Sequence[float]) -> float:
    """By how much the median of two or more ratios is uncertain."""
    low, _, high = statistics.quantiles(ratios, n=4)
    return 1.57 * (high - low) / math.sqrt(len(ratios))
