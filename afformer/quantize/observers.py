"""Chooses a tensor's range from its observed values.

| method     | range                                                                    | observer  |
|------------|--------------------------------------------------------------------------|-----------|
| minmax     | smallest and largest value of all pictures                               | Extremes  |
| average    | mean over the pictures of each picture's smallest and largest value      | Extremes  |
| percentile | all but the outermost 0.005 % of the values at either end                | Histogram |
| mse        | least mean squared difference between the values and their rounded selves | Histogram |
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from afformer.quantize.choices import Method as Method  # noqa: PLC0414 - imported from here, too
from afformer.quantize.grid import Doubles, Grid
from afformer.quantize.histogram import Histogram
from afformer.quantize.ranges import Range

TAIL = 5e-5
"""Share of the values that `PERCENTILE` gives up at either end."""
_SHRINK = 0.97
"""The search tries `high * 0.97**k`: enough steps for outliers of any size, and fine enough for the best range."""
_STEPS = 120
_ROUNDS = 2


@dataclasses.dataclass
class Extremes:
    """Smallest and largest values, picture by picture.

    Attributes:
        low: Smallest of all; inf before the first.
        high: Largest of all; -inf before the first.
        count: Number of pictures.
    """

    low: float = math.inf
    high: float = -math.inf
    count: int = 0
    _low_sum: float = 0.0
    _high_sum: float = 0.0

    def add(self, values: npt.NDArray[np.floating]) -> None:
        """Takes the values, of any shape, from one picture.

        Raises:
            ValueError: Some values are not finite.
        """
        if values.size == 0:
            return
        low, high = float(values.min()), float(values.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("values must be finite, but some are nan or inf")
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._low_sum, self._high_sum = self._low_sum + low, self._high_sum + high
        self.count += 1

    def range(self, method: Method) -> Range:
        """The range by `MINMAX` or `AVERAGE`."""
        assert self.count, "no picture was seen"
        assert not method.needs_values, "extremes say nothing about the distribution"
        if method is Method.MINMAX:
            return Range(self.low, self.high)
        return Range(self._low_sum / self.count, max(self._low_sum, self._high_sum) / self.count)


def range_of(histogram: Histogram, method: Method, *, symmetric: bool = False) -> Range:
    """The range of a tensor from its distribution.

    Args:
        histogram: Every value that was seen; at least one.
        method: Any but `AVERAGE`, which needs the pictures one by one.
        symmetric: Whether the target's zero point is 0, so that one far end makes the grid coarser on both sides. `MSE`
            then returns a range with -low = high.

    Raises:
        ValueError: `AVERAGE`, or nothing was seen.
    """
    if method is Method.AVERAGE or not histogram.total:
        raise ValueError(f"{method.value}: needs pictures one by one, and at least one")
    if method is Method.MINMAX:
        return Range(histogram.low, histogram.high)
    if method is Method.PERCENTILE:
        return _percentile(histogram)
    return _least_error(histogram, symmetric)


def squared_error(values: Doubles, counts: Doubles, grid: Grid) -> float:
    """Mean squared difference between values and their rounded selves.

    Args:
        values: `(n,)` values.
        counts: `(n,)` how often each occurs.
        grid: What they are rounded to.
    """
    return float(counts @ np.square(values - grid.rounded(values)) / counts.sum())


def _percentile(histogram: Histogram) -> Range:
    below = np.cumsum(histogram.counts)
    cut = TAIL * histogram.total
    first = int(np.searchsorted(below, cut, side="right"))
    last = int(np.searchsorted(below, histogram.total - cut, side="left"))
    low, high = float(histogram.edges[first]), float(histogram.edges[max(first, last) + 1])
    return Range(max(low, histogram.low), min(high, histogram.high))


def _least_error(histogram: Histogram, symmetric: bool) -> Range:
    """Pulls in the ends, in turn, to where the squared error is least."""
    values, counts = histogram.centres, histogram.counts.astype(np.float64)
    shares = [_SHRINK**step for step in range(_STEPS)]

    def error(ends: tuple[float, float]) -> float:
        return squared_error(values, counts, Grid.over(ends[0], ends[1], symmetric=symmetric))

    def best(ranges: list[tuple[float, float]]) -> tuple[float, float]:
        return min(ranges, key=error)

    low, high = histogram.low, histogram.high
    if symmetric:
        end = max(abs(low), abs(high))
        return Range(*best([(-end * share, end * share) for share in shares]))
    for _ in range(_ROUNDS):
        if histogram.high > 0:
            _, high = best([(low, histogram.high * share) for share in shares if histogram.high * share >= low])
        if histogram.low < 0:
            low, _ = best([(histogram.low * share, high) for share in shares if histogram.low * share <= high])
    return Range(low, high)
