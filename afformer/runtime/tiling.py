"""Positions of sliding-window tiles, in pixels of the picture and in cells of its logits."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import NamedTuple

from afformer.spec import STRIDE


class Tile(NamedTuple):
    """Top left corner of a tile, in pixels; both multiples of the stride."""

    y: int
    x: int


@dataclasses.dataclass(frozen=True)
class Tiling:
    """All tiles of a picture: every row offset with every column offset.

    Attributes:
        tile_hw: Height and width of a tile: the model's input size, in pixels.
        rows: Row offsets, ascending, in pixels.
        cols: Column offsets, ascending, in pixels.
        stride: Pixels per logit cell. Tiles start at multiples of it, so that their cells lie on one common grid.
    """

    tile_hw: tuple[int, int]
    rows: tuple[int, ...]
    cols: tuple[int, ...]
    stride: int = STRIDE

    @classmethod
    def over(
        cls, image_hw: tuple[int, int], tile_hw: tuple[int, int], overlap: float = 1 / 3, stride: int = STRIDE
    ) -> Tiling:
        """The fewest evenly spread tiles that cover a picture, neighbours sharing at least `overlap` of a tile.

        The last tile may extend beyond the picture, by less than `stride` pixels or because the picture is smaller than
        a tile; the caller pads it.

        Raises:
            ValueError: Overlap not in [0, 1), or tiles of less than `stride` pixels.
        """
        if not 0 <= overlap < 1 or min(tile_hw) < stride:
            raise ValueError(f"overlap must be in [0, 1) and tiles from {stride}x{stride} up, got {overlap}, {tile_hw}")
        rows, cols = (_offsets(length, tile, overlap, stride) for length, tile in zip(image_hw, tile_hw, strict=True))
        return cls(tile_hw, rows, cols, stride)

    def __iter__(self) -> Iterator[Tile]:
        return itertools.starmap(Tile, itertools.product(self.rows, self.cols))

    def __len__(self) -> int:
        return len(self.rows) * len(self.cols)

    @property
    def cells_hw(self) -> tuple[int, int]:
        """Height and width of one tile's logits."""
        return -(-self.tile_hw[0] // self.stride), -(-self.tile_hw[1] // self.stride)

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Height and width of the common logit grid."""
        height, width = self.cells_hw
        return self.rows[-1] // self.stride + height, self.cols[-1] // self.stride + width

    def cells(self, tile: Tile) -> tuple[slice, slice]:
        """The part of the common grid that a tile's logits cover."""
        y, x = tile.y // self.stride, tile.x // self.stride
        return slice(y, y + self.cells_hw[0]), slice(x, x + self.cells_hw[1])


def _offsets(length: int, tile: int, overlap: float, stride: int) -> tuple[int, ...]:
    if length <= tile:
        return (0,)
    step = max(stride, int(tile * (1 - overlap)) // stride * stride)
    last = -(-(length - tile) // stride)  # in cells
    gaps = -(-last * stride // step)
    # `last / gaps` is at most `step` in cells, a whole number, so rounding never opens a wider gap than it.
    return tuple(last * i // gaps * stride for i in range(gaps + 1))
