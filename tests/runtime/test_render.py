"""Drawing: exact where it can be, robust where it is a matter of looks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from afformer import datasets
from afformer.runtime.render import Renderer, Share, beside, class_borders, class_shares, side_by_side

NAMES = ("road", "car", "sky")
PALETTE = ((128, 64, 128), (0, 0, 142), (70, 130, 180))
classmaps = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2))


@given(classmaps)
def test_colours_are_the_palettes(classmap: npt.NDArray[np.uint8]) -> None:
    expected = np.array(PALETTE)[classmap]
    assert (Renderer(NAMES, PALETTE).colourise(classmap) == expected).all()
    assert (Renderer(NAMES, PALETTE).colourise(classmap.astype(np.int32)) == expected).all()


def test_more_than_256_classes_have_their_colours() -> None:
    many = datasets.generic(400)
    ids = np.arange(400, dtype=np.int32).reshape(20, 20)
    assert (Renderer(many.classes, many.palette).colourise(ids).reshape(-1, 3) == many.palette).all()


@given(classmaps, st.integers(0, 255), st.floats(0, 1))
def test_an_overlay_is_the_weighted_mean_of_picture_and_colour(
    classmap: npt.NDArray[np.uint8], grey: int, opacity: float
) -> None:
    image = np.full((*classmap.shape, 3), grey, np.uint8)
    expected = (1 - opacity) * image + opacity * np.array(PALETTE)[classmap]
    assert np.abs(Renderer(NAMES, PALETTE, opacity).overlay(image, classmap) - expected).max() <= 0.51


def test_the_picture_itself_is_left_alone() -> None:
    image = np.full((4, 4, 3), 9, np.uint8)
    Renderer(NAMES, PALETTE, outlines=True).overlay(image, np.eye(4, dtype=np.uint8))
    assert (image == 9).all()


def test_outlines_are_white_and_only_where_classes_meet() -> None:
    image, classmap = np.full((4, 6, 3), 9, np.uint8), np.zeros((4, 6), np.uint8)
    classmap[:, 3:] = 1
    plain = Renderer(NAMES, PALETTE).overlay(image, classmap)
    outlined = Renderer(NAMES, PALETTE, outlines=True).overlay(image, classmap)
    assert (outlined[:, 2] == 255).all()
    assert (np.delete(outlined, 2, axis=1) == np.delete(plain, 2, axis=1)).all()


def test_borders_lie_above_and_left_of_a_change() -> None:
    assert class_borders(np.array([[0, 0, 1], [0, 0, 1], [2, 2, 1]], np.uint8)).tolist() == [
        [0, 255, 0],
        [255, 255, 0],
        [0, 255, 0],
    ]


def test_buffers_are_reused_for_pictures_of_one_size_and_follow_another() -> None:
    renderer = Renderer(NAMES, PALETTE)
    image, classmap = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
    first = renderer.overlay(image, classmap)
    assert renderer.overlay(image, classmap) is first
    assert renderer.overlay(image[:2], classmap[:2]).shape == (2, 6, 3)


def test_a_picture_and_a_class_map_of_two_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="one size"):
        Renderer(NAMES, PALETTE).overlay(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.uint8))


def test_an_opacity_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"opacity must be 0..1"):
        Renderer(NAMES, PALETTE, opacity=50)


def test_shares_are_sorted_and_add_up() -> None:
    shares = class_shares(np.array([[2, 2, 2, 0], [5, 5, 0, 2]], np.uint8))
    assert shares == [Share(2, 4, 0.5), Share(0, 2, 0.25), Share(5, 2, 0.25)]


def test_a_legend_shows_a_swatch_of_each_class_that_occurs_from_the_largest_down() -> None:
    classmap = np.zeros((200, 300), np.uint8)
    classmap[:50] = 2
    legend = Renderer(NAMES, PALETTE).legend(classmap, 200)
    assert legend.shape[0] == 200
    rows = [np.flatnonzero((legend == colour).all(2).any(1)) for colour in PALETTE]
    assert len(rows[0]) > 5
    assert rows[0].max() < rows[2].min()
    assert len(rows[1]) == 0


def test_a_legend_names_classes_with_dark_text_on_white() -> None:
    legend = Renderer(NAMES, PALETTE).legend(np.zeros((100, 100), np.uint8), 100)
    text = legend[:, 40:]
    assert text.min() < 80
    assert np.median(text) == 255


@pytest.mark.parametrize("height", [1, 64, 512, 4000])
@pytest.mark.parametrize("count", [1, 12, 171])
def test_a_legend_fits_any_height_and_number_of_classes(height: int, count: int) -> None:
    dataset = datasets.generic(count)
    classmap = np.resize(np.arange(count, dtype=np.uint8), (40, 50))
    legend = Renderer(dataset.classes, dataset.palette).legend(classmap, height)
    assert height <= legend.shape[0] <= max(height, 100)
    assert 60 < legend.shape[1] < 600


def test_a_legend_of_more_classes_than_fit_counts_the_rest() -> None:
    many = datasets.generic(100)
    renderer = Renderer(many.classes, many.palette)
    crowded = renderer.legend(np.resize(np.arange(100, dtype=np.uint8), (100, 100)), 300)
    swatches = [i for i in range(100) if (crowded == many.palette[i]).all(2).any()]
    assert swatches == list(range(len(swatches)))
    assert 5 < len(swatches) < 20
    assert crowded[-40:, 30:].min() < 200  # the line that counts the rest


def test_wide_pictures_go_below_each_other_and_others_beside() -> None:
    wide, tall = np.zeros((100, 300, 3), np.uint8), np.zeros((300, 100, 3), np.uint8)
    assert side_by_side(wide, wide).shape == (202, 300, 3)
    assert side_by_side(tall, tall).shape == (300, 202, 3)


def test_pictures_of_two_heights_stand_beside_each_other_on_white() -> None:
    both = beside(np.zeros((2, 3, 3), np.uint8), np.zeros((4, 1, 3), np.uint8))
    assert both.shape == (4, 4, 3)
    assert (both[2:, :3] == 255).all()
    assert not both[:2].any()
