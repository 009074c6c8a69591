from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afformer.runtime.tiling import Tile, Tiling
from afformer.spec import STRIDE

LENGTHS = st.integers(1, 700)
TILES = st.integers(64, 320)
OVERLAPS = st.floats(0, 0.9)


@given(LENGTHS, LENGTHS, TILES, TILES, OVERLAPS)
def test_tiles_cover_every_pixel_and_every_cell(
    height: int, width: int, tile_h: int, tile_w: int, overlap: float
) -> None:
    tiling = Tiling.over((height, width), (tile_h, tile_w), overlap)
    pixels, cells = np.zeros((height, width), int), np.zeros(tiling.grid_hw, int)
    for tile in tiling:
        pixels[tile.y : tile.y + tile_h, tile.x : tile.x + tile_w] += 1
        cells[tiling.cells(tile)] += 1
    assert pixels.min() >= 1
    assert cells.min() >= 1


@given(LENGTHS, TILES, OVERLAPS)
def test_tiles_begin_on_cells_and_stick_out_by_less_than_one(length: int, tile: int, overlap: float) -> None:
    tiling = Tiling.over((length, length), (tile, tile), overlap)
    assert all(offset % STRIDE == 0 for offset in tiling.rows)
    assert tiling.rows[0] == 0
    assert list(tiling.rows) == sorted(set(tiling.rows))
    assert tiling.rows[-1] + tile < max(length, tile) + STRIDE


@given(st.integers(321, 1000), TILES, OVERLAPS)
def test_neighbours_share_the_overlap_unless_cells_are_coarser(length: int, tile: int, overlap: float) -> None:
    rows = Tiling.over((length, 1), (tile, tile), overlap).rows
    widest = max(second - first for first, second in itertools.pairwise(rows))
    assert widest <= max(STRIDE, tile * (1 - overlap))


@given(LENGTHS, TILES)
def test_the_grid_reaches_to_the_end_of_the_picture(length: int, tile: int) -> None:
    assert Tiling.over((length, length), (tile, tile)).grid_hw[0] * STRIDE >= length


def test_a_picture_of_twice_a_tile_takes_three_tiles_a_side_at_a_third_overlap() -> None:
    tiling = Tiling.over((1024, 512), (512, 512))
    assert tiling.rows == (0, 256, 512)
    assert list(tiling) == [Tile(0, 0), Tile(256, 0), Tile(512, 0)]
    assert len(tiling) == 3


def test_a_smaller_picture_takes_one_tile() -> None:
    assert list(Tiling.over((10, 600), (512, 1024))) == [Tile(0, 0)]


@pytest.mark.parametrize(("overlap", "tile"), [(1.0, 64), (-0.1, 64), (0.5, 7)])
def test_a_bad_overlap_or_tile_is_refused(overlap: float, tile: int) -> None:
    with pytest.raises(ValueError, match="overlap must be"):
        Tiling.over((100, 100), (tile, tile), overlap)
