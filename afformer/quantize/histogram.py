"""The distribution of a tensor in a fixed number of counters, the same whatever order the values come in.

Bin `i` holds the values in `[i * width, (i + 1) * width)`, where `width` is a power of two. When a value falls outside
the counters, the width doubles until everything fits, and two neighbours become one:

    [i * 2w, (i + 1) * 2w) = [2i * w, (2i + 1) * w)  +  [(2i + 1) * w, (2i + 2) * w)

No count is ever divided. The width depends on the smallest and largest value only, so the counters are the same as if
all values had been counted at once. Zero is always a border between bins.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

BINS = 2048
_SMALLEST_WIDTH = -100
"""As an exponent of two. Finer bins are useless: below that, float32 has hardly any numbers left."""
_RESOLUTION = 20
"""Bins are not finer than the largest magnitude / 2**20, which is finer than any float32 tensor needs."""
_CHUNK = 1 << 16
"""Values counted at a time: the work arrays stay in the cache."""


class Histogram:
    """Counts values in constant memory.

    Args:
        bins: Number of counters.

    Attributes:
        low: Smallest value so far; inf before the first.
        high: Largest value so far; -inf before the first.
        exponent: Bins are `2**exponent` wide.
    """

    def __init__(self, bins: int = BINS) -> None:
        if bins < 2:
            raise ValueError(f"a histogram needs at least 2 bins, got {bins}")
        self.low, self.high = math.inf, -math.inf
        self.exponent = _SMALLEST_WIDTH
        self._counts: npt.NDArray[np.int64] = np.zeros(bins, np.int64)
        self._first = 0

    @property
    def width(self) -> float:
        """Width of a bin."""
        return math.ldexp(1.0, self.exponent)

    @property
    def total(self) -> int:
        """Number of values so far."""
        return int(self._counts.sum())

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """`(n,)` counts, from the bin of the smallest value to the bin of the largest."""
        return self._counts[: self._occupied()].copy()

    @property
    def edges(self) -> npt.NDArray[np.float64]:
        """`(n + 1,)` borders of these bins."""
        return np.asarray((self._first + np.arange(self._occupied() + 1)) * self.width, np.float64)

    @property
    def centres(self) -> npt.NDArray[np.float64]:
        """`(n,)` centres of these bins."""
        edges = self.edges
        return np.asarray((edges[:-1] + edges[1:]) / 2, np.float64)

    def add(self, values: npt.NDArray[np.floating]) -> None:
        """Counts values of any shape.

        Raises:
            ValueError: Some values are not finite.
        """
        if values.size == 0:
            return
        flat = values.reshape(-1)
        low, high = float(flat.min()), float(flat.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("values must be finite, but some are nan or inf")
        self._make_room(min(low, self.low), max(high, self.high))
        for start in range(0, flat.size, _CHUNK):
            # In float64 nothing underflows: a negative number, however small, must not end up in zero's bin.
            position = np.floor(flat[start : start + _CHUNK].astype(np.float64) * (1 / self.width))
            index = position.astype(np.int64) - self._first
            self._counts += np.bincount(index, minlength=self._counts.size)

    def _make_room(self, low: float, high: float) -> None:
        if self.low <= low and high <= self.high:
            return
        exponent = _exponent(low, high, self._counts.size)
        first = math.floor(math.ldexp(low, -exponent))
        occupied = np.flatnonzero(self._counts)
        doublings = min(exponent - self.exponent, 62)  # by then every bin number is 0 or -1
        counts = np.zeros_like(self._counts)
        np.add.at(counts, ((occupied + self._first) >> doublings) - first, self._counts[occupied])
        self._counts, self._first, self.exponent = counts, first, exponent
        self.low, self.high = low, high

    def _occupied(self) -> int:
        return math.floor(self.high / self.width) - self._first + 1 if self.low <= self.high else 0


def _exponent(low: float, high: float, bins: int) -> int:
    """Exponent of the smallest power of two for which `bins` bins cover everything from `low` to `high`.

    It never shrinks when the interval grows: bins that cover an interval cover every part of it.
    """
    exponent = _SMALLEST_WIDTH
    magnitude = max(abs(low), abs(high))
    if magnitude:
        exponent = max(exponent, math.frexp(magnitude)[1] - _RESOLUTION)
    if high > low:
        exponent = max(exponent, math.frexp((high - low) / bins)[1] - 2)  # at least a factor of two too small
    while math.floor(math.ldexp(high, -exponent)) - math.floor(math.ldexp(low, -exponent)) >= bins:
        exponent += 1
    return exponent
