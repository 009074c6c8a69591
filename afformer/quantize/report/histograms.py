"""Charts of tensors: what a histogram looks like as SVG, which `histogram.svg.jinja` draws."""

from __future__ import annotations

import dataclasses

import numpy as np

from afformer.quantize.histogram import Histogram
from afformer.quantize.ranges import Range

WIDTH, HEIGHT = 360, 110
BASELINE = 92
"""Foot of the bars, in SVG units from the top."""
_BARS = 90


@dataclasses.dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        x: Left edge, in SVG units.
        height: In SVG units.
        kept: Whether its values lie inside the range.
    """

    x: float
    height: float
    kept: bool


@dataclasses.dataclass(frozen=True)
class Mark:
    """One end of the range.

    Attributes:
        x: Where it is, in SVG units.
        value: Its value.
        anchor: On which side of `x` the value is written, so that it stays inside the chart.
    """

    x: float
    value: float
    anchor: str


@dataclasses.dataclass(frozen=True)
class Chart:
    """A tensor's distribution, counts on a logarithmic scale, and the ends of its range.

    Attributes:
        title: For screen readers.
        bars: From left to right; empty ones are left out.
        marks: The ends of the range.
    """

    title: str
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    width: int = WIDTH
    height: int = HEIGHT
    baseline: int = BASELINE
    bar_width: float = WIDTH / _BARS - 0.8


def chart(histogram: Histogram, kept: Range, title: str) -> Chart:
    """The chart of a histogram with at least one value."""
    low, high = min(histogram.low, kept.low), max(histogram.high, kept.high)
    span = (high - low) or 1.0
    position = np.clip((histogram.centres - low) / span * _BARS, 0, _BARS - 1).astype(int)
    heights = np.log1p(np.bincount(position, histogram.counts, _BARS))
    heights *= (BASELINE - 8) / heights.max()
    centres = low + (np.arange(_BARS) + 0.5) / _BARS * span
    bars = tuple(
        Bar(index * WIDTH / _BARS, float(heights[index]), bool(kept.low <= centres[index] <= kept.high))
        for index in np.flatnonzero(heights).tolist()
    )
    return Chart(title, bars, tuple(_mark((value - low) / span * WIDTH, value) for value in (kept.low, kept.high)))


def _mark(x: float, value: float) -> Mark:
    return Mark(x, value, "start" if x < WIDTH / 3 else "end" if x > 2 * WIDTH / 3 else "middle")
