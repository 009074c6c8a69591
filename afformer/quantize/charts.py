"""Pictures inside the report's page: histograms as SVG, photographs as data URIs. Nothing comes from outside."""

from __future__ import annotations

import base64
import dataclasses
import html
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from afformer.images import ClassMap, RGBImage
from afformer.quantize.histogram import Histogram
from afformer.quantize.ranges import Range
from afformer.spec import RGB

WIDTH, HEIGHT = 360, 110
_BARS = 90
_BASE = 92
"""Baseline of the bars, in SVG units from the top."""
_SAMPLE_WIDTH = 480
_MARK = (255, 0, 160)


@dataclasses.dataclass(frozen=True)
class Sample:
    """A picture with both class maps.

    Attributes:
        name: The picture's file name.
        agreement: Share of the pixels with the same class.
        images: (caption, data URI) of float, INT8 and their difference.
    """

    name: str
    agreement: float
    images: tuple[tuple[str, str], ...]


def histogram_svg(histogram: Histogram, kept: Range, title: str) -> str:
    """The distribution of a tensor, counts on a logarithmic scale; what lies outside the range is in another colour.

    Args:
        histogram: At least one value.
        kept: The values that survive quantization.
        title: For screen readers.
    """
    low, high = min(histogram.low, kept.low), max(histogram.high, kept.high)
    span = (high - low) or 1.0
    centres = (histogram.edges[:-1] + histogram.edges[1:]) / 2
    position = np.clip((centres - low) / span * _BARS, 0, _BARS - 1).astype(int)
    heights = np.log1p(np.bincount(position, histogram.counts, _BARS))
    heights *= (_BASE - 8) / heights.max()
    step = WIDTH / _BARS
    bars = []
    for index in np.flatnonzero(heights):
        centre = low + (index + 0.5) / _BARS * span
        kind = "in" if kept.low <= centre <= kept.high else "out"
        x, y = index * step, _BASE - heights[index]
        bars.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{step - 0.8:.1f}" height="{heights[index]:.1f}"/>'
        )
    marks = "".join(_mark((value - low) / span * WIDTH, value) for value in (kept.low, kept.high))
    return (
        f'<svg viewBox="-8 0 {WIDTH + 16} {HEIGHT}" role="img" aria-label="{html.escape(title)}">{"".join(bars)}'
        f'<line class="axis" x1="0" x2="{WIDTH}" y1="{_BASE}" y2="{_BASE}"/>{marks}</svg>'
    )


def sample(name: str, image: RGBImage, maps: tuple[ClassMap, ClassMap], palette: Sequence[RGB]) -> Sample:
    """A picture with the class maps of the float model and of the candidate, and where they differ.

    Args:
        name: The picture's file name.
        image: `(H, W, 3)` uint8 RGB.
        maps: Two `(H, W)` class maps.
        palette: One RGB colour a class.
    """
    differs = maps[0] != maps[1]
    overlays = [_blend(image, classmap, palette) for classmap in maps]
    return Sample(
        name=name,
        agreement=1 - float(differs.mean()),
        images=(
            ("float", data_uri(_shrunk(overlays[0]))),
            ("INT8", data_uri(_shrunk(overlays[1]))),
            (f"{differs.mean():.2%} differ", data_uri(_marked(image, differs))),
        ),
    )


def data_uri(image: RGBImage) -> str:
    """An `(H, W, 3)` uint8 RGB picture as a PNG inside a URI."""
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert done, "PNG takes any 8-bit picture"
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()


def _mark(x: float, value: float) -> str:
    anchor = "start" if x < WIDTH / 3 else "end" if x > 2 * WIDTH / 3 else "middle"
    return (
        f'<line class="bound" x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{_BASE}"/>'
        f'<text x="{x:.1f}" y="{HEIGHT - 4}" text-anchor="{anchor}">{value:.3g}</text>'
    )


def _blend(image: RGBImage, classmap: ClassMap, palette: Sequence[RGB]) -> RGBImage:
    colours = np.asarray(palette, np.uint8)[classmap]
    return np.asarray(cv2.addWeighted(image, 0.45, colours, 0.55, 0), np.uint8)


def _marked(image: RGBImage, differs: npt.NDArray[np.bool_]) -> RGBImage:
    """The picture in pale grey of few tones, which makes a small file, with the differing pixels on top."""
    small = _shrunk(image)
    height, width = small.shape[:2]
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) // 16 * 8 + 120
    marked = np.repeat(np.asarray(grey, np.uint8)[:, :, None], 3, axis=2)
    share = cv2.resize(differs.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    marked[share > 0] = _MARK  # one differing pixel is enough: shrinking must not hide any
    return marked


def _shrunk(image: RGBImage) -> RGBImage:
    height, width = image.shape[:2]
    if width <= _SAMPLE_WIDTH:
        return image
    size = (_SAMPLE_WIDTH, max(1, round(height * _SAMPLE_WIDTH / width)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
