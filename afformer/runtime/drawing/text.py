"""Text on pictures, in the fonts that OpenCV brings: Latin, Greek, Cyrillic, Hebrew, Chinese, Japanese, Korean."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from afformer.images import RGBImage
from afformer.spec import RGB

REGULAR, BOLD = 400, 600
"""Weights of the font."""
_ASCENT, _DESCENT = 0.80, 0.24
"""What letters take above and below the baseline, as a share of the font size."""
_WHITE: RGB = (255, 255, 255)


def width_of(text: str, size: int, weight: int = REGULAR) -> int:
    """Width in pixels."""
    _, _, width, _ = cv2.getTextSize((1, 1), text, (0, 0), _face(), size, weight)
    return int(width)


def write(
    picture: RGBImage, at: tuple[int, int], text: str, size: int, *, colour: RGB = _WHITE, weight: int = REGULAR
) -> None:
    """Writes a line of text into a picture.

    Args:
        picture: `(H, W, 3)` uint8 RGB, contiguous; changed.
        at: Where the text begins: x, and y of its middle.
        text: The line.
        size: Font size in pixels.
        colour: RGB.
        weight: `REGULAR`, `BOLD` or between.
    """
    baseline = at[0], at[1] + round(size * (_ASCENT - _DESCENT) / 2)
    cv2.putText(picture, text, baseline, colour, _face(), size, weight)


def writable(classes: Sequence[str]) -> tuple[str, ...]:
    """The classes' names, or `class 7` for one with letters that the fonts lack."""
    return tuple(name if _has_all(name) else f"class {class_id}" for class_id, name in enumerate(classes))


@dataclasses.dataclass(frozen=True)
class Sprite:
    """White text with a dark halo, ready to be put on a picture many times.

    Attributes:
        keep: `(h, w, 3)` uint8: how much of the picture stays, 255 for all of it.
        ink: `(h, w, 3)` uint8: what is added to that.
    """

    keep: npt.NDArray[np.uint8]
    ink: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, text: str, size: int) -> Sprite:
        """Draws a text once."""
        halo = max(2, round(size / 9))
        height = round(size * (_ASCENT + _DESCENT)) + 2 * halo
        ink = np.zeros((height, width_of(text, size, BOLD) + 2 * halo + 1, 3), np.uint8)
        write(ink, (halo, height // 2), text, size, weight=BOLD)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * halo - 1, 2 * halo - 1))
        shade = cv2.GaussianBlur(cv2.dilate(ink, disc), (3, 3), 0)
        return cls(np.asarray(cv2.bitwise_not(cv2.max(shade, ink)), np.uint8), ink)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels, halo included."""
        return self.ink.shape[1], self.ink.shape[0]

    def put(self, picture: RGBImage, left: int, top: int) -> None:
        """Draws the text on a picture, `(H, W, 3)` uint8 RGB; it must lie within."""
        width, height = self.size_wh
        spot = picture[top : top + height, left : left + width]
        cv2.multiply(spot, self.keep, dst=spot, scale=1 / 255)
        cv2.add(spot, self.ink, dst=spot)


def _has_all(text: str) -> bool:
    """OpenCV draws a question mark for a letter that it does not have."""
    if text.isascii():
        return True
    unknown = _glyph("?")
    return all(letter.isascii() or not np.array_equal(_glyph(letter), unknown) for letter in text)


def _glyph(letter: str) -> npt.NDArray[np.uint8]:
    picture = np.zeros((32, 64, 3), np.uint8)
    write(picture, (16, 16), letter, 16)
    return picture


@functools.cache
def _face() -> cv2.FontFace:
    return cv2.FontFace("sans")
