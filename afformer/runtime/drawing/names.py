"""Class names on the larger regions of an overlay, each wholly inside its region, in its widest place."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from afformer.images import ClassMap, RGBImage
from afformer.runtime.drawing.text import Sprite

_LINES = 30
"""Lines of text that would fill the height of a picture, or half the width of a very wide one: sets the font size."""
_SMALLEST = 11
_SHRINK = 0.8
"""A name that does not fit is tried once more at this share of its size."""
_CELLS = 90
_WORDS = {8: np.uint64, 4: np.uint32, 2: np.uint16, 1: np.uint8}
"""Sides of cells, and the integer type that holds a row of a cell."""
_REGIONS = 40
"""Regions that are tried, the largest first."""
_STAY = 0.6
"""In a video a name stays where it is while the room there is at least this share of the best place's."""
_EVERY, _SOON = 5, 2
"""In a video, places are sought anew after this many frames: the second number if a name has lost its place."""

Mask = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Tag:
    """A name in its place.

    Attributes:
        class_id: Whose name.
        left, top: Of the text, in pixels.
        size: Font size in pixels.
        at: The cell of its middle: row and column.
    """

    class_id: int
    left: int
    top: int
    size: int
    at: tuple[int, int]


class NameTags:
    """Places and draws class names. Works on a reduced map: cells with a border between classes belong to no region.

    Args:
        classes: Class names.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = tuple(classes)
        self._sprites: dict[tuple[int, int], Sprite] = {}
        self._last: list[Tag] = []
        self._shape: tuple[int, ...] = ()
        self._age = 0

    def draw(self, picture: RGBImage, classmap: ClassMap, borders: Mask, *, follow: bool = False) -> list[Tag]:
        """Writes the names on a picture.

        Args:
            picture: `(H, W, 3)` uint8 RGB; changed.
            classmap: `(H, W)` class ids.
            borders: `(H, W)` uint8: what `class_borders` gives of it.
            follow: The picture follows the one before in a video: names stay where they were if they still fit there.

        Returns:
            What was written where.
        """
        before = self._last if follow and classmap.shape == self._shape else []
        kept = [tag for tag in before if self._fits(tag, classmap, borders)]
        self._age += 1
        if not kept or self._age >= (_EVERY if len(kept) == len(before) else _SOON):
            kept, self._age = list(self._place(classmap, borders, kept)), 0
        self._last, self._shape = kept, classmap.shape
        for tag in kept:
            self._sprite(tag.class_id, tag.size).put(picture, tag.left, tag.top)
        return kept

    def _fits(self, tag: Tag, classmap: ClassMap, borders: Mask) -> bool:
        """Whether a name's place still lies inside its class, with no border running through it."""
        width, height = self._sprite(tag.class_id, tag.size).size_wh
        spot = borders[tag.top : tag.top + height, tag.left : tag.left + width]
        return bool(classmap[tag.top, tag.left] == tag.class_id) and not cv2.countNonZero(spot)

    def _place(self, classmap: ClassMap, borders: Mask, before: Sequence[Tag]) -> Iterator[Tag]:
        height, width = classmap.shape
        cell = next((side for side in _WORDS if side * _CELLS <= height), 1)
        size = max(_SMALLEST, round(max(height, width / 2) / _LINES))
        small = max(_SMALLEST, round(_SHRINK * size))
        for region in _regions(borders, cell, least=(small / cell) ** 2):
            row, column = region.some_cell
            class_id = int(classmap[row * cell, column * cell])
            if class_id >= len(self._classes):
                continue
            places = [tag.at for tag in before if tag.class_id == class_id]
            for font in dict.fromkeys((size, small)):
                wide, high = self._sprite(class_id, font).size_wh
                at = region.place(-(-high // cell) | 1, -(-wide // cell) | 1, places)
                if at:
                    y, x = (int((number + 0.5) * cell) for number in at)
                    yield Tag(class_id, x - wide // 2, y - high // 2, font, at)
                    break

    def _sprite(self, class_id: int, size: int) -> Sprite:
        if (class_id, size) not in self._sprites:
            self._sprites[class_id, size] = Sprite.of(self._classes[class_id], size)
        return self._sprites[class_id, size]


@dataclasses.dataclass(frozen=True)
class _Region:
    """A connected part of the reduced map.

    Attributes:
        inside: `(h, w)` uint8, 0 outside; a frame of zeros around it.
        room: `(h, w)` float32: distance from the edge of any region, in cells.
        top, left: Where its first row and column, of the frame, are in the reduced map.
    """

    inside: Mask
    room: npt.NDArray[np.float32]
    top: int
    left: int

    @property
    def some_cell(self) -> tuple[int, int]:
        """Row and column of a cell inside, in the reduced map."""
        return self.top + 1, self.left + int(self.inside[1].argmax())

    def place(self, rows: int, columns: int, before: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
        """The middle of the best place for a box of an odd number of rows and columns; None if it does not fit.

        That is where the edge of the region is farthest away, or a place of `before` that is nearly as good.
        """
        if rows + 2 > self.inside.shape[0] or columns + 2 > self.inside.shape[1]:
            return None
        fits = cv2.erode(self.inside, np.ones((rows, columns), np.uint8))
        _, best, _, (x, y) = cv2.minMaxLoc(self.room, fits)
        if not best:
            return None
        for row, column in before:
            own = row - self.top, column - self.left
            within = 0 <= own[0] < fits.shape[0] and 0 <= own[1] < fits.shape[1]
            if within and fits[own] and self.room[own] >= _STAY * best:
                return row, column
        return self.top + y, self.left + x


def _regions(borders: Mask, cell: int, least: float) -> Iterator[_Region]:
    """The connected regions of at least `least` cells without a border, the largest first."""
    free = cv2.copyMakeBorder(_free_cells(borders, cell), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    room = np.asarray(cv2.distanceTransform(free, cv2.DIST_L2, 3), np.float32)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(free, connectivity=4)
    order = np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[:_REGIONS] + 1
    for number in order.tolist():
        left, top, width, height, area = stats[number].tolist()
        if area < least:
            return
        box = slice(top - 1, top + height + 1), slice(left - 1, left + width + 1)
        inside = np.asarray(cv2.compare(labels[box], number, cv2.CMP_EQ), np.uint8)
        yield _Region(inside, room[box], top - 2, left - 2)


def _free_cells(borders: Mask, cell: int) -> Mask:
    """`(H / cell, W / cell)` uint8: 1 where a cell has no border. Pixels are read several at a time, as one integer."""
    rows, columns = borders.shape[0] // cell, borders.shape[1] // cell
    words = borders[: rows * cell, : columns * cell].view(_WORDS[cell]).reshape(rows, cell, columns)
    return np.asarray(np.bitwise_or.reduce(words, axis=1) == 0, np.uint8)
