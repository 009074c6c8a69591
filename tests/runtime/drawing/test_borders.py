"""Where classes meet."""

from __future__ import annotations

import numpy as np
import pytest

from afformer.runtime.drawing.borders import class_borders, outline_masks
from afformer.runtime.workspace import Workspace


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_borders_lie_above_and_left_of_a_change(dtype: type) -> None:
    assert class_borders(np.array([[0, 0, 1], [0, 0, 1], [2, 2, 1]], dtype)).tolist() == [
        [0, 255, 0],
        [255, 255, 0],
        [0, 255, 0],
    ]


@pytest.mark.parametrize(("shape", "expected"), [((1, 3), [[255, 255, 0]]), ((3, 1), [[255], [255], [0]])])
def test_a_single_row_or_column_has_borders_too(shape: tuple[int, int], expected: list[list[int]]) -> None:
    assert class_borders(np.arange(3, dtype=np.uint8).reshape(shape)).tolist() == expected


def test_what_an_earlier_picture_left_in_memory_does_not_show() -> None:
    work = Workspace()
    class_borders(np.random.default_rng(0).integers(0, 9, (20, 30), np.uint8), work)
    assert not class_borders(np.zeros((20, 30), np.uint8), work).any()


@pytest.mark.parametrize(("height", "line", "strip"), [(100, 1, 1), (720, 1, 2), (2160, 3, 6)])
def test_lines_are_as_thick_as_suits_the_picture(height: int, line: int, strip: int) -> None:
    classmap = np.zeros((height, 60), np.uint8)
    classmap[:, 30:] = 1
    lines, strips = outline_masks(class_borders(classmap), 0, height, Workspace())
    assert np.count_nonzero(lines[height // 2]) == line
    assert np.count_nonzero(strips[height // 2]) == line + 2 * strip


def test_lines_of_a_part_are_those_of_the_whole() -> None:
    borders = class_borders((np.random.default_rng(1).random((2160, 40)) < 0.01).astype(np.uint8))
    whole = outline_masks(borders, 0, 2160, Workspace())
    for top, bottom in ((0, 1), (0, 700), (700, 703), (703, 2160)):
        for all_rows, part in zip(whole, outline_masks(borders, top, bottom, Workspace()), strict=True):
            assert (part == all_rows[top:bottom]).all()
