"""Legends: every class in its place, in the colour that is painted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from afformer import datasets
from afformer.runtime.drawing.legend import Legend
from afformer.spec import RGB

NAMES = ("road", "car", "sky")
COLOURS = ((128, 64, 128), (0, 0, 142), (70, 130, 180))


def rows_of(panel: npt.NDArray[np.uint8], colour: RGB) -> npt.NDArray[np.intp]:
    """The rows that hold a swatch of exactly this colour."""
    return np.flatnonzero((panel == colour).all(axis=2).sum(axis=1) > 5)


def test_classes_that_occur_stand_in_the_order_of_their_ids() -> None:
    classmap = np.full((200, 300), 2, np.uint8)
    classmap[:50] = 0
    panel = Legend(NAMES, COLOURS).panel(classmap, 200)
    road, car, sky = (rows_of(panel, colour) for colour in COLOURS)
    assert panel.shape[0] == 200
    assert len(road) > 5
    assert road.max() < sky.min()
    assert len(car) == 0


def test_dark_text_on_white_names_them() -> None:
    panel = Legend(NAMES, COLOURS).panel(np.zeros((100, 100), np.uint8), 100)
    text = panel[:, 40:]
    assert text.min() < 80
    assert np.median(text) == 255


@pytest.mark.parametrize("height", [1, 64, 512, 4000])
@pytest.mark.parametrize("count", [1, 12, 171])
def test_a_legend_fits_any_height_and_number_of_classes(height: int, count: int) -> None:
    dataset = datasets.generic(count)
    classmap = np.resize(np.arange(count, dtype=np.uint8), (40, 50))
    panel = Legend(dataset.classes, dataset.palette).panel(classmap, height)
    assert height <= panel.shape[0] <= max(height, 100)
    assert 60 < panel.shape[1] < max(600, height / 3)


def test_a_legend_grows_with_a_large_picture() -> None:
    legend = Legend(NAMES, COLOURS)
    small, large = (rows_of(legend.panel(np.zeros((9, 9), np.uint8), height), COLOURS[0]) for height in (720, 4320))
    assert len(large) > 3 * len(small)


def test_of_more_classes_than_fit_the_largest_are_shown_in_order_and_the_rest_is_counted() -> None:
    many = datasets.generic(100)
    classmap = np.resize(np.arange(100, dtype=np.uint8), (100, 100))
    classmap[:50] = np.array([90, 70, 50, 30, 10], np.uint8)[np.arange(100) % 5]
    panel = Legend(many.classes, many.palette).panel(classmap, 300)
    shown = {i: rows_of(panel, many.palette[i]) for i in range(100) if len(rows_of(panel, many.palette[i]))}
    assert {10, 30, 50, 70, 90} < set(shown)
    assert 5 < len(shown) < 20
    assert [*shown] == sorted(shown, key=lambda i: int(shown[i].min()))
    assert panel[-40:, 30:].min() < 200  # the line that counts the rest


def test_ids_beyond_the_names_are_shown_by_number_in_black() -> None:
    panel = Legend(NAMES, COLOURS).panel(np.full((100, 100), 255, np.uint8), 100)
    assert len(rows_of(panel, (0, 0, 0))) > 5


def test_a_small_legend_takes_little_of_a_frame() -> None:
    cityscapes = datasets.CITYSCAPES
    classmap = np.resize(np.arange(19, dtype=np.uint8).repeat(40), (720, 1280))
    panel = Legend(cityscapes.classes, cityscapes.palette).small_panel(classmap, 720)
    assert panel.shape[0] * panel.shape[1] < 0.07 * 720 * 1280


def test_the_lines_of_a_small_legend_neither_vanish_nor_change_their_order() -> None:
    legend = Legend(NAMES, COLOURS)
    first = legend.small_panel(np.full((90, 90), 2, np.uint8), 90)
    assert len(rows_of(first, COLOURS[2]))
    legend.small_panel(np.full((90, 90), 0, np.uint8), 90)
    both = legend.small_panel(np.full((90, 90), 2, np.uint8), 90)
    assert rows_of(both, COLOURS[0]).max() < rows_of(both, COLOURS[2]).min()
    assert legend.small_panel(np.full((90, 90), 0, np.uint8), 90) is both


@pytest.mark.parametrize("height", [8, 30, 100, 480])
def test_a_small_legend_is_no_higher_than_its_frame_where_that_can_be(height: int) -> None:
    many = datasets.generic(150)
    classmap = np.resize(np.arange(150, dtype=np.uint8).repeat(4), (600, 600))
    assert Legend(many.classes, many.palette).small_panel(classmap, height).shape[0] <= max(height, 28)


def test_a_speck_does_not_get_a_line_in_a_small_legend() -> None:
    classmap = np.zeros((400, 400), np.uint8)
    classmap[:4, :4] = 1
    panel = Legend(NAMES, COLOURS).small_panel(classmap, 400)
    assert len(rows_of(panel, COLOURS[1])) == 0
