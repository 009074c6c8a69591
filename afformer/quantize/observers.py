"""From what was seen of a tensor to its range.

| method     | range                                                                           | observer  |
|------------|---------------------------------------------------------------------------------|-----------|
| minmax     | smallest and largest value of all pictures                                      | Extremes  |
| average    | mean over the pictures of each picture's smallest and largest value             | Extremes  |
| percentile | all but the outermost 0.005 % of the values at either end                       | Histogram |
| entropy    | least Kullback-Leibler divergence between the values and their quantized selves | Histogram |
| mse        | least mean squared difference between the values and their quantized selves     | Histogram |
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from afformer.quantize.choices import Method as Method  # noqa: PLC0414 - imported from here, too
from afformer.quantize.histogram import Histogram
from afformer.quantize.ranges import Range

Floats = npt.NDArray[np.float64]

LEVELS = 256
"""Numbers in 8 bits."""
TAIL = 5e-5
"""Share of the values that `PERCENTILE` gives up at either end."""
_SHRINK = 0.97
"""Searches try `high * 0.97**k`: outliers of any size are found, and the error of the grid is far below their gain."""
_STEPS = 120
_ROUNDS = 2


@dataclasses.dataclass
class Extremes:
    """Smallest and largest values, picture by picture.

    Attributes:
        low: Smallest of all; inf before the first.
        high: Largest of all; -inf before the first.
        count: Number of pictures (calls of the model).
    """

    low: float = math.inf
    high: float = -math.inf
    count: int = 0
    _low_sum: float = 0.0
    _high_sum: float = 0.0

    def add(self, values: npt.NDArray[np.floating]) -> None:
        """Takes the values, of any shape, that one picture gave.

        Raises:
            ValueError: There are values that are not finite.
        """
        if values.size == 0:
            return
        low, high = float(values.min()), float(values.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("values must be finite, but there are nan or inf among them")
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._low_sum, self._high_sum = self._low_sum + low, self._high_sum + high
        self.count += 1

    def range(self, method: Method) -> Range:
        """The range by `MINMAX` or `AVERAGE`."""
        assert self.count, "no picture was seen"
        assert not method.needs_values, "extremes do not tell the distribution"
        if method is Method.MINMAX:
            return Range(self.low, self.high)
        return Range(self._low_sum / self.count, max(self._low_sum, self._high_sum) / self.count)


def range_of(histogram: Histogram, method: Method, *, symmetric: bool = False) -> Range:
    """The range of a tensor by its distribution.

    Args:
        histogram: Every value that was seen; at least one.
        method: Any but `AVERAGE`, which a distribution does not tell.
        symmetric: Whether the target's zero point is 0, so that an end further out costs the other one its levels. The
            searches answer with -low = high then.

    Raises:
        ValueError: `AVERAGE`, or nothing was seen.
    """
    if method is Method.AVERAGE or not histogram.total:
        raise ValueError(f"{method.value}: needs pictures one by one, and at least one")
    if method is Method.MINMAX:
        return Range(histogram.low, histogram.high)
    if method is Method.PERCENTILE:
        return _percentile(histogram)
    cost = {Method.MSE: squared_error, Method.ENTROPY: divergence}[method]
    return _search(histogram, cost, symmetric)


def squared_error(values: Floats, counts: Floats, grid: Grid) -> float:
    """Mean squared difference between values and their quantized selves.

    Args:
        values: `(n,)` values.
        counts: `(n,)` how often each occurs.
        grid: What they are quantized to.
    """
    back = grid.levels_of(values) * grid.scale + grid.low
    return float(counts @ np.square(values - back) / counts.sum())


def divergence(values: Floats, counts: Floats, grid: Grid) -> float:
    """Kullback-Leibler divergence of the quantized distribution from the clipped one, in nats.

    The reference has what is clipped in its outermost bins; the quantized one knows only what lies inside, spread
    evenly over the occupied bins of each level. Too narrow a range pays with the outer bins, too wide a one with flat
    levels.

    Args:
        values: `(n,)` ascending centres of bins of one width.
        counts: `(n,)` counts of the bins.
        grid: What they are quantized to.
    """
    inside = (values >= grid.low) & (values <= grid.low + grid.scale * (LEVELS - 1))
    if not inside.any():
        return math.inf
    begin, end = int(inside.argmax()), int(len(inside) - inside[::-1].argmax())
    kept = counts[begin:end]
    reference = kept.copy()
    reference[0] += counts[:begin].sum()
    reference[-1] += counts[end:].sum()
    level = grid.levels_of(values[begin:end]).astype(np.int64)
    mass = np.bincount(level, kept, LEVELS)
    occupied = np.bincount(level, kept > 0, LEVELS)
    quantized = np.where(kept > 0, mass[level] / np.maximum(occupied[level], 1), 0)
    if not quantized.any():
        return math.inf
    p, q = reference / reference.sum(), quantized / quantized.sum()
    seen = p > 0
    return float(p[seen] @ np.log(p[seen] / np.maximum(q[seen], 1e-9)))


@dataclasses.dataclass(frozen=True)
class Grid:
    """The numbers that 8 bits can stand for: `low + scale * (0 .. 255)`, zero among them.

    Attributes:
        low: The smallest one.
        scale: The distance between two.
    """

    low: float
    scale: float

    @classmethod
    def over(cls, low: float, high: float, symmetric: bool) -> Grid:
        """The grid that covers a range and the zero."""
        low, high = min(low, 0.0), max(high, 0.0)
        if symmetric:
            scale = max(-low, high) / (LEVELS // 2 - 1) or 1.0
            return cls(-(LEVELS // 2) * scale, scale)
        scale = (high - low) / (LEVELS - 1) or 1.0
        return cls(round(low / scale) * scale, scale)

    def levels_of(self, values: Floats) -> Floats:
        """`(n,)` the number, 0..255, of the level that stands for each value."""
        return np.clip(np.rint((values - self.low) / self.scale), 0, LEVELS - 1)


def _percentile(histogram: Histogram) -> Range:
    below = np.cumsum(histogram.counts)
    cut = TAIL * histogram.total
    first = int(np.searchsorted(below, cut, side="right"))
    last = int(np.searchsorted(below, histogram.total - cut, side="left"))
    low, high = float(histogram.edges[first]), float(histogram.edges[max(first, last) + 1])
    return Range(max(low, histogram.low), min(high, histogram.high))


def _search(histogram: Histogram, cost: Callable[[Floats, Floats, Grid], float], symmetric: bool) -> Range:
    """Pulls in the ends, in turn, to where the cost is least."""
    values = (histogram.edges[:-1] + histogram.edges[1:]) / 2
    counts = histogram.counts.astype(np.float64)
    shares = [_SHRINK**step for step in range(_STEPS)]
    low, high = histogram.low, histogram.high

    def best(candidates: list[tuple[float, float]]) -> tuple[float, float]:
        return min(candidates, key=lambda ends: cost(values, counts, Grid.over(ends[0], ends[1], symmetric)))

    if symmetric:
        end = max(abs(low), abs(high))
        low, high = best([(-end * share, end * share) for share in shares])
        return Range(low, high)
    for _ in range(_ROUNDS):
        if histogram.high > 0:
            _, high = best([(low, histogram.high * share) for share in shares if histogram.high * share >= low])
        if histogram.low < 0:
            low, _ = best([(histogram.low * share, high) for share in shares if histogram.low * share <= high])
    return Range(low, high)
