"""Class maps as people like to see them: colours, overlay on the picture, legend, before and after.

Pictures are `(H, W, 3)` uint8 RGB, class maps `(H, W)` class ids.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from afformer.images import ClassMap, RGBImage
from afformer.runtime.workspace import Workspace
from afformer.spec import RGB

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK = (33, 37, 41)
_FAINT_INK = (110, 117, 125)
_PAPER = 255
_COLOURS = 256


@dataclasses.dataclass(frozen=True)
class Share:
    """How much of a picture one class takes.

    Attributes:
        class_id: The class.
        pixels: Number of its pixels.
        share: The same as a share of all pixels, 0..1.
    """

    class_id: int
    pixels: int
    share: float


def class_shares(classmap: ClassMap) -> list[Share]:
    """The classes that occur in a class map, the largest first."""
    counts = np.bincount(classmap.ravel())
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda class_id: (-counts[class_id], class_id))
    return [Share(class_id, int(counts[class_id]), int(counts[class_id]) / classmap.size) for class_id in order]


class Renderer:
    """Draws class maps with one palette. Keeps its buffers: a result is valid until the next call of the same method.

    Args:
        classes: Class names.
        palette: One RGB colour a class.
        opacity: How much of the classes' colour covers the picture in an overlay, 0..1.
        outlines: Draw thin lines between the classes of an overlay.
    """

    def __init__(
        self, classes: Sequence[str], palette: Sequence[RGB], opacity: float = 0.5, outlines: bool = False
    ) -> None:
        if not 0.0 <= opacity <= 1.0:
            raise ValueError(f"opacity must be 0..1, but got {opacity}")
        self.classes = tuple(classes)
        self.palette = tuple(palette)
        self.opacity = opacity
        self.outlines = outlines
        self._table = np.zeros((max(_COLOURS, len(self.palette)), 1, 3), np.uint8)  # ids without a colour are black
        self._table[: len(self.palette), 0] = self.palette
        self._colours = np.empty((0, 0, 3), np.uint8)
        self._blend = np.empty((0, 0, 3), np.uint8)
        self._lines = np.empty((0, 0, 3), np.uint8)
        self._work = Workspace()

    def colourise(self, classmap: ClassMap) -> RGBImage:
        """The class map in the palette's colours."""
        self._colours = _buffer(self._colours, classmap.shape)
        if classmap.dtype == np.uint8:
            cv2.applyColorMap(classmap, self._table[:_COLOURS], self._colours)
        else:
            np.take(self._table[:, 0], classmap, axis=0, out=self._colours, mode="clip")
        return self._colours

    def overlay(self, image: RGBImage, classmap: ClassMap) -> RGBImage:
        """The picture, tinted with the classes' colours.

        Raises:
            ValueError: Picture and class map differ in size.
        """
        if image.shape[:2] != classmap.shape:
            raise ValueError(f"picture and class map must have one size, but got {image.shape} and {classmap.shape}")
        self._blend = _buffer(self._blend, classmap.shape)
        cv2.addWeighted(image, 1.0 - self.opacity, self.colourise(classmap), self.opacity, 0.0, dst=self._blend)
        if self.outlines:
            self._lines = _buffer(self._lines, classmap.shape)
            cv2.cvtColor(class_borders(classmap, self._work), cv2.COLOR_GRAY2RGB, dst=self._lines)
            cv2.bitwise_or(self._blend, self._lines, dst=self._blend)
        return self._blend

    def legend(self, classmap: ClassMap, height: int) -> RGBImage:
        """A panel with the classes that occur, the largest share first: colour, name, percentage.

        Args:
            classmap: `(H, W)` class ids.
            height: The panel's height in pixels. Classes that do not fit in are counted in a last line. Where not even
                a few lines fit, the panel is higher than asked for.

        Returns:
            `(height or more, W', 3)` uint8 RGB.
        """
        shares = class_shares(classmap)
        style = _legend_style(height, len(shares))
        shown = shares if len(shares) <= style.lines else shares[: style.lines - 1]
        rows = [(self._class_name(share.class_id), _percent(share.share)) for share in shown]
        names = max(_text_width(name, style.scale) for name, _ in rows)
        numbers = max(_text_width(number, style.scale) for _, number in rows)
        width = style.row + names + style.row // 2 + numbers + 2 * style.margin
        panel = np.full((max(height, style.row * len(rows) + 2 * style.margin), width, 3), _PAPER, np.uint8)
        for line, (share, (name, number)) in enumerate(zip(shown, rows, strict=True)):
            self._swatch(panel, style, line, share.class_id)
            right = width - style.margin - _text_width(number, style.scale)
            _write_text(panel, (style.margin + style.row, style.baseline(line)), style.scale, name, _INK)
            _write_text(panel, (right, style.baseline(line)), style.scale, number, _FAINT_INK)
        if len(shown) < len(shares):
            rest = f"+ {len(shares) - len(shown)} more"
            at = (style.margin + style.row, style.baseline(len(shown)))
            _write_text(panel, at, style.scale, rest, _FAINT_INK)
        return panel

    def _class_name(self, class_id: int) -> str:
        return self.classes[class_id] if class_id < len(self.classes) else f"({class_id})"

    def _swatch(self, panel: RGBImage, style: _LegendStyle, line: int, class_id: int) -> None:
        side = round(style.row * 0.62)
        top = style.margin + line * style.row + (style.row - side) // 2
        corner = (style.margin + side, top + side)
        cv2.rectangle(panel, (style.margin, top), corner, self._table[class_id, 0].tolist(), cv2.FILLED)
        cv2.rectangle(panel, (style.margin, top), corner, _FAINT_INK, 1)


def class_borders(classmap: ClassMap, work: Workspace | None = None) -> npt.NDArray[np.uint8]:
    """`(H, W)` uint8: 255 where the pixel to the right or below has another class, else 0. It may live in `work`."""
    work = work or Workspace()
    borders, below = (work.array(name, classmap.shape, np.bool_) for name in ("borders", "below"))
    np.not_equal(classmap[:, :-1], classmap[:, 1:], out=borders[:, :-1])
    borders[:, -1] = False
    np.not_equal(classmap[:-1], classmap[1:], out=below[:-1])
    np.logical_or(borders[:-1], below[:-1], out=borders[:-1])
    pixels = borders.view(np.uint8)
    return np.multiply(pixels, 255, out=pixels)


def beside(left: RGBImage, right: RGBImage) -> RGBImage:
    """Two pictures side by side at the top, the shorter one on white."""
    height = max(left.shape[0], right.shape[0])
    return np.hstack([_padded(left, height), _padded(right, height)])


def side_by_side(before: RGBImage, after: RGBImage) -> RGBImage:
    """Two pictures of one size with a thin gap, beside each other; wide ones one above the other."""
    height, width = before.shape[:2]
    gap = max(2, min(height, width) // 100)
    if width > 2 * height:
        return np.vstack([before, np.full((gap, width, 3), _PAPER, np.uint8), after])
    return np.hstack([before, np.full((height, gap, 3), _PAPER, np.uint8), after])


@dataclasses.dataclass(frozen=True)
class _LegendStyle:
    """Sizes in pixels: `row` is a line's height, `lines` how many fit."""

    row: int
    margin: int
    scale: float
    lines: int

    def baseline(self, line: int) -> int:
        """Where the text of a line stands."""
        return self.margin + line * self.row + round(self.row * 0.68)


def _legend_style(height: int, count: int) -> _LegendStyle:
    """Lines are as high as a twentieth of the panel, less where more classes are to fit, never too small to read."""
    row = int(min(40, max(20, min(height / 16, height / (count + 1)))))
    margin = row // 2
    lines = max(3, (height - 2 * margin) // row)
    return _LegendStyle(row, margin, row / 42, lines)


def _text_width(text: str, scale: float) -> int:
    (width, _), _ = cv2.getTextSize(text, _FONT, scale, 1)
    return width


def _write_text(panel: RGBImage, at: tuple[int, int], scale: float, text: str, colour: RGB) -> None:
    cv2.putText(panel, text, at, _FONT, scale, colour, 1, cv2.LINE_AA)


def _percent(share: float) -> str:
    return "< 0.1 %" if share < 0.001 else f"{100 * share:.1f} %"


def _padded(image: RGBImage, height: int) -> RGBImage:
    rest = np.full((height - image.shape[0], *image.shape[1:]), _PAPER, np.uint8)
    return np.vstack([image, rest]) if len(rest) else image


def _buffer(old: npt.NDArray[np.uint8], size: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    return old if old.shape[:2] == size else np.empty((*size, 3), np.uint8)
