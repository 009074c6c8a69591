"""Legends: colour, name and share of the classes of a picture, in the order of their ids."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from afformer.images import ClassMap, RGBImage
from afformer.runtime.drawing import text
from afformer.runtime.drawing.shares import Share, class_shares
from afformer.spec import RGB

_INK: RGB = (33, 37, 41)
_FAINT_INK: RGB = (110, 117, 125)
_PAPER = 255
_SMALL_ROWS = 40
"""Lines of a small legend that would fill the frame's height: sets the font size."""
_LEAST_SHARE = 0.001
"""Share of a frame that a class needs to get a line in a small legend."""
_STEP = 4
"""A small legend looks at every fourth pixel of every fourth row."""


@dataclasses.dataclass(frozen=True)
class _Row:
    """A line of a legend; one without a colour counts the classes that have no line."""

    name: str
    colour: RGB | None
    number: str = ""


class Legend:
    """Draws legends with one set of names and colours.

    Args:
        classes: Class names.
        colours: One RGB colour per class, as overlays are painted. Classes without one are black.
    """

    def __init__(self, classes: Sequence[str], colours: Sequence[RGB]) -> None:
        self._classes, self._colours = tuple(classes), tuple(colours)
        self._seen: set[int] = set()
        self._small: tuple[tuple[int, ...], RGBImage] | None = None

    def panel(self, classmap: ClassMap, height: int) -> RGBImage:
        """Classes and shares in `height` pixels or, where not even a few lines fit, more; see `Renderer.legend`."""
        shares = class_shares(classmap)
        row = _row_height(height, len(shares))
        lines = max(3, (height - 2 * (row // 2)) // row)
        return _draw(self._rows(shares, lines), row, height)

    def small_panel(self, classmap: ClassMap, height: int) -> RGBImage:
        """A small panel for the corner of a video frame: the classes seen so far, so that lines do not come and go.

        Args:
            classmap: `(H, W)` class ids.
            height: The frame's height in pixels.

        Returns:
            `(H', W', 3)` uint8 RGB, at most `height` high; not to be changed.
        """
        counts = class_shares(classmap[::_STEP, ::_STEP])
        self._seen.update(share.class_id for share in counts if share.share >= _LEAST_SHARE)
        key = height, *sorted(self._seen)
        if self._small is None or self._small[0] != key:
            row = max(14, height // _SMALL_ROWS)
            lines = max(1, height // row - 1)
            shares = [Share(class_id, 0, 0.0) for class_id in sorted(self._seen)]
            panel = _draw([dataclasses.replace(line, number="") for line in self._rows(shares, lines)], row, 0)
            self._small = key, panel
        return self._small[1]

    def _rows(self, shares: Sequence[Share], lines: int) -> list[_Row]:
        """The largest shares in the order of their classes, and a line for the rest."""
        shown = shares if len(shares) <= lines else shares[: lines - 1]
        rows = [
            _Row(self._name(share.class_id), self._colour(share.class_id), _percent(share.share))
            for share in sorted(shown, key=lambda share: share.class_id)
        ]
        rest = len(shares) - len(shown)
        return [*rows, _Row(f"+ {rest} more", None)] if rest else rows

    def _name(self, class_id: int) -> str:
        return self._classes[class_id] if class_id < len(self._classes) else f"({class_id})"

    def _colour(self, class_id: int) -> RGB:
        return self._colours[class_id] if class_id < len(self._colours) else (0, 0, 0)


def _draw(rows: Sequence[_Row], row: int, height: int) -> RGBImage:
    """Rows of `row` pixels on white, at least `height` high."""
    margin, size = row // 2, round(row * 0.62)
    names = max((text.width_of(line.name, size) for line in rows), default=0)
    numbers = max((text.width_of(line.number, size) for line in rows if line.number), default=-margin)
    width = margin + row + names + margin + numbers + margin
    panel = np.full((max(height, row * len(rows) + 2 * margin), width, 3), _PAPER, np.uint8)
    for number, line in enumerate(rows):
        middle = margin + number * row + row // 2
        if line.colour is not None:
            _swatch(panel, (margin, middle), size, line.colour)
        ink = _FAINT_INK if line.colour is None else _INK
        text.write(panel, (margin + row, middle), line.name, size, colour=ink)
        right = width - margin - text.width_of(line.number, size)
        text.write(panel, (right, middle), line.number, size, colour=_FAINT_INK)
    return panel


def _swatch(panel: RGBImage, at: tuple[int, int], side: int, colour: RGB) -> None:
    """A square of a colour with a thin edge, its left edge's middle at `at`."""
    corner = at[0], at[1] - side // 2
    opposite = corner[0] + side, corner[1] + side
    cv2.rectangle(panel, corner, opposite, colour, cv2.FILLED)
    cv2.rectangle(panel, corner, opposite, _FAINT_INK, 1)


def _row_height(height: int, count: int) -> int:
    """A sixteenth of a small panel, less of a large one or to fit more classes in, but never too small to read."""
    largest = max(40, height / 27)
    return int(min(largest, max(20, min(height / 16, height / (count + 1)))))


def _percent(share: float) -> str:
    return "< 0.1 %" if share < 0.001 else f"{100 * share:.1f} %"
