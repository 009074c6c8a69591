"""Paints the classes' colours over a picture.

overlay = (1 - opacity) * faded picture + opacity * colour, and where classes meet the full colours, with a white line
between them. The picture's own colours fade, so that they do not mix in, and its black and white become greys, so that
colours drown neither in shadow nor in glare. At opacity 0 it is the picture, at 1 the colours.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from afformer.images import ClassMap, RGBImage
from afformer.runtime.drawing.borders import Mask, outline_masks
from afformer.runtime.workspace import Workspace
from afformer.spec import RGB

_IDS = 256
_FULL = 128
"""Added to the ids of pixels that get their class' full colour, if all ids are below it: one look-up paints both."""
_LINE = 255
"""The id of lines, in that case."""
_BAND_PIXELS = 1 << 22
"""Pixels that are painted at a time, so that a huge picture takes no further buffers of its size."""
_LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in grey (ITU-R BT.601)."""
_FADED, _LIFT = 0.7, 40.0
"""Under the colours: how grey the picture becomes, and how far its black is lightened and its white darkened."""
_PALE = 0.3
"""The opacity from which the picture fades fully; below it fades less."""


class Painter:
    """Paints overlays in buffers of its own: a result is valid until the next call.

    Args:
        colours: One RGB colour per class. Ids without one are painted black.
        opacity: How much of the colours covers the picture, 0..1.
    """

    def __init__(self, colours: Sequence[RGB], opacity: float) -> None:
        self._full = colour_table(colours)
        self._tint = np.round(self._full * opacity).astype(np.uint8)
        self._marked = np.concatenate([self._tint[:_FULL], self._full[:_FULL]])
        self._marked[_LINE] = 255
        self._fade = _fade(opacity)
        self._work = Workspace()
        self._plains: dict[int, RGBImage] = {}

    def paint(self, image: RGBImage, classmap: ClassMap, borders: Mask | None) -> RGBImage:
        """Paints one overlay.

        Args:
            image: `(H, W, 3)` uint8 RGB.
            classmap: `(H, W)` class ids.
            borders: `(H, W)` uint8: what `class_borders` gives, to draw outlines; None draws none.

        Returns:
            `(H, W, 3)` uint8 RGB.
        """
        picture = self._buffer("picture", image.shape)
        height, width = classmap.shape
        step = max(1, _BAND_PIXELS // width)
        for top in range(0, height, step):
            rows = slice(top, min(top + step, height))
            cv2.transform(image[rows], self._fade, dst=picture[rows])
            masks = None if borders is None else outline_masks(borders, rows.start, rows.stop, self._work)
            self._colour(picture[rows], classmap[rows], masks)
        return picture

    def _colour(self, picture: RGBImage, classmap: ClassMap, masks: tuple[Mask, Mask] | None) -> None:
        """Adds the colours to some rows of the faded picture; `masks` are their lines and strips."""
        if masks is None:
            self._add(picture, self._tint, classmap)
            return
        lines, strips = masks
        if classmap.dtype == np.uint8 and cv2.minMaxLoc(classmap)[1] < _FULL - 1:
            cv2.copyTo(self._plain(0, picture.shape), strips, picture)
            marked = np.bitwise_and(strips, _FULL, out=strips)
            cv2.bitwise_or(marked, classmap, dst=marked)
            cv2.bitwise_or(marked, lines, dst=marked)
            self._add(picture, self._marked, marked)
            return
        self._add(picture, self._tint, classmap)
        cv2.copyTo(look_up(self._full, classmap, self._buffer("paint", picture.shape)), strips, picture)
        cv2.copyTo(self._plain(255, picture.shape), lines, picture)

    def _add(self, picture: RGBImage, table: npt.NDArray[np.uint8], ids: ClassMap) -> None:
        cv2.add(picture, look_up(table, ids, self._buffer("paint", picture.shape)), dst=picture)

    def _buffer(self, name: str, shape: tuple[int, ...]) -> RGBImage:
        return self._work.array(name, shape, np.uint8)

    def _plain(self, level: int, shape: tuple[int, ...]) -> RGBImage:
        plain = self._plains.get(level)
        if plain is None or plain.shape[1:] != shape[1:] or len(plain) < shape[0]:
            plain = self._plains[level] = np.full(shape, level, np.uint8)
        return plain[: shape[0]]


def colour_table(colours: Sequence[RGB]) -> npt.NDArray[np.uint8]:
    """`(256 or more, 1, 3)` for `look_up`: ids without a colour are black."""
    table = np.zeros((max(_IDS, len(colours)), 1, 3), np.uint8)
    table[: len(colours), 0] = colours
    return table


def look_up(table: npt.NDArray[np.uint8], ids: ClassMap, out: RGBImage) -> RGBImage:
    """The colour of every id: `(H, W)` -> `(H, W, 3)`."""
    if ids.dtype == np.uint8:
        cv2.applyColorMap(ids, table[:_IDS], out)
    else:
        np.take(table[:, 0], ids, axis=0, out=out, mode="clip")
    return out


def _fade(opacity: float) -> npt.NDArray[np.float32]:
    """`(3, 4)`: from a pixel, and 1, to what is left of it under the colours."""
    strength = min(1.0, opacity / _PALE)
    grey, lift = _FADED * strength, _LIFT * strength
    mixed = (1 - 2 * lift / 255) * ((1 - grey) * np.eye(3) + grey * np.tile(_LUMA, (3, 1)))
    return ((1 - opacity) * np.column_stack([mixed, np.full(3, lift)])).astype(np.float32)
