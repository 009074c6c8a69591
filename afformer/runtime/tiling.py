"""Positions of sliding-window tiles, in pixels of the picture and in cells of its logits."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import NamedTuple

STRIDE = 8
"""Pixels per logit cell. Tiles start at multiples of it, so that their cells lie on one common grid."""


class Tile(NamedTuple):
    """Top left corner of a tile, in pixels; both multiples of `STRIDE`."""

    y: int
    x: int


@dataclasses.dataclass(frozen=True)
class Tiling:
    """All tiles of a picture: every row offset with every column offset.

    Attributes:
        tile_hw: Height and width of a tile: the model's input size, in pixels.
        rows: Row offsets, ascending, in pixels.
        cols: Column offsets, ascending, in pixels.
    """

    tile_hw: tuple[int, int]
    rows: tuple[int, ...]
    cols: tuple[int, ...]

    @classmethod
    def over(cls, image_hw: tuple[int, int], tile_hw: tuple[int, int], overlap: float = 1 / 3) -> Tiling:
        """The fewest evenly spread tiles that cover a picture, neighbours sharing at least `overlap` of a tile.

        The last tile may extend beyond the picture, by less than `STRIDE` pixels or because the picture is smaller than
        a tile; the caller pads it.

        Raises:
            ValueError: Overlap not in [0, 1), or tiles of less than `STRIDE` pixels.
        """
        if not 0 <= overlap < 1 or min(tile_hw) < STRIDE:
            raise ValueError(f"overlap must be in [0, 1) and tiles from {STRIDE}x{STRIDE} up, got {overlap}, {tile_hw}")
        rows, cols = (_offsets(length, tile, overlap) for length, tile in zip(image_hw, tile_hw, strict=True))
        return cls(tile_hw, rows, cols)

    def __iter__(self) -> Iterator[Tile]:
        return itertools.starmap(Tile, itertools.product(self.rows, self.cols))

    def __len__(self) -> int:
        return len(self.rows) * len(self.cols)

    @property
    def cells_hw(self) -> tuple[int, int]:
        """Height and width of one tile's logits."""
        return -(-self.tile_hw[0] // STRIDE), -(-self.tile_hw[1] // STRIDE)

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Height and width of the common logit grid."""
        height, width = self.cells_hw
        return self.rows[-1] // STRIDE + height, self.cols[-1] // STRIDE + width

    def cells(self, tile: Tile) -> tuple[slice, slice]:
        """The part of the common grid that a tile's logits cover."""
        y, x = tile.y // STRIDE, tile.x // STRIDE
        return slice(y, y + self.cells_hw[0]), slice(x, x + self.cells_hw[1])


def _offsets(length: int, tile: int, overlap: float) -> tuple[int, ...]:
    if length <= tile:
        return (0,)
    step = max(STRIDE, int(tile * (1 - overlap)) // STRIDE * STRIDE)
    last = -(-(length - tile) // STRIDE)  # in cells
    gaps = -(-last * STRIDE // step)
    # `last / gaps` is at most `step` in cells, a whole number, so rounding never opens a wider gap than it.
    return tuple(last * i // gaps * STRIDE for i in range(gaps + 1))
