"""Overlays: exact where they can be, robust where it is a matter of looks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from afformer import datasets
from afformer.runtime.choices import Colours
from afformer.runtime.drawing import oklab
from afformer.runtime.render import Renderer

NAMES = ("road", "car", "sky")
PALETTE = ((128, 64, 128), (0, 0, 142), (70, 130, 180))
CAMVID = datasets.CAMVID
classmaps = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2))
Ids = npt.NDArray[np.uint8]
BY_COLOURS = [Renderer(NAMES, PALETTE, colours=colours) for colours in Colours]


@given(classmaps)
def test_masks_have_the_palettes_colours_whatever_the_overlays_have(classmap: Ids) -> None:
    expected = np.array(PALETTE)[classmap]
    for renderer in BY_COLOURS:
        assert (renderer.colourise(classmap) == expected).all()
        assert (renderer.colourise(classmap.astype(np.int32)) == expected).all()


def test_more_than_256_classes_have_their_colours() -> None:
    many = datasets.generic(400)
    ids = np.arange(400, dtype=np.int32).reshape(20, 20)
    renderer = Renderer(many.classes, many.palette, opacity=1, colours="dataset")
    assert (renderer.colourise(ids).reshape(-1, 3) == many.palette).all()
    assert (renderer.overlay(np.zeros((20, 20, 3), np.uint8), ids).reshape(-1, 3) == many.palette).all()


@given(classmaps, st.integers(0, 255))
def test_an_overlay_is_the_picture_at_opacity_0_and_the_colours_at_1(classmap: Ids, level: int) -> None:
    image = np.random.default_rng(level).integers(0, 256, (*classmap.shape, 3), np.uint8)
    assert (Renderer(NAMES, PALETTE, 0).overlay(image, classmap) == image).all()
    full = Renderer(NAMES, PALETTE, 1)
    assert (full.overlay(image, classmap) == np.array(full.colours)[classmap]).all()


@given(classmaps, st.integers(0, 255), st.floats(0.3, 1))
def test_in_between_a_grey_picture_mixes_with_the_colours_with_its_extremes_softened(
    classmap: Ids, grey: int, opacity: float
) -> None:
    renderer = Renderer(NAMES, PALETTE, opacity)
    image = np.full((*classmap.shape, 3), grey, np.uint8)
    softened = 40 + grey * (255 - 2 * 40) / 255
    expected = (1 - opacity) * softened + opacity * np.array(renderer.colours)[classmap]
    assert np.abs(renderer.overlay(image, classmap) - expected).max() <= 1.25  # two roundings, one in fixed point


@pytest.mark.parametrize("level", [0, 30, 128, 255])
@pytest.mark.parametrize("colours", [Colours.AUTO, Colours.COLORBLIND])
def test_all_classes_look_different_on_dark_and_bright_pictures(level: int, colours: Colours) -> None:
    ids = np.arange(CAMVID.num_classes, dtype=np.uint8)[None]
    drawn = Renderer(CAMVID.classes, CAMVID.palette, colours=colours).overlay(np.full((1, 11, 3), level, np.uint8), ids)
    lab = oklab.from_rgb(drawn[0])
    apart = oklab.distances(lab, lab)
    assert apart[~np.eye(11, dtype=bool)].min() > 0.055


def test_no_class_is_drawn_black_on_a_black_picture() -> None:
    ids = np.arange(CAMVID.num_classes, dtype=np.uint8)[None]
    drawn = Renderer(CAMVID.classes, CAMVID.palette).overlay(np.zeros((1, 11, 3), np.uint8), ids)
    assert oklab.from_rgb(drawn[0])[:, 0].min() > 0.3


def test_the_pictures_light_and_shadow_remain() -> None:
    image = np.zeros((1, 200, 3), np.uint8)
    image[0, :, :] = np.arange(20, 220)[:, None]
    drawn = Renderer(NAMES, PALETTE).overlay(image, np.zeros((1, 200), np.uint8))
    lightness = oklab.from_rgb(drawn[0])[:, 0]
    assert lightness[-1] - lightness[0] > 0.2
    assert (np.diff(lightness[::4]) > 0).all()


def test_the_pictures_own_colours_do_not_mix_in() -> None:
    ids = np.zeros((1, 2), np.uint8)
    image = np.array([[[200, 40, 40], [40, 40, 200]]], np.uint8)
    drawn = oklab.from_rgb(Renderer(NAMES, PALETTE).overlay(image, ids)[0])
    before = oklab.from_rgb(image[0])
    assert np.linalg.norm(drawn[0, 1:] - drawn[1, 1:]) < 0.25 * np.linalg.norm(before[0, 1:] - before[1, 1:])


def test_the_picture_itself_is_left_alone() -> None:
    image = np.full((40, 400, 3), 9, np.uint8)
    Renderer(NAMES, PALETTE, outlines=True, names=True).overlay(image, np.zeros((40, 400), np.uint8))
    assert (image == 9).all()


@pytest.mark.parametrize("classes", [3, 200])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_outlines_are_white_between_strips_of_the_colours_in_the_legend(classes: int, dtype: type) -> None:
    dataset = datasets.generic(classes)
    image = np.full((4, 10, 3), 9, np.uint8)
    classmap: npt.NDArray[np.integer] = np.zeros((4, 10), dtype)
    classmap[:, 5:] = classes - 1
    renderer = Renderer(dataset.classes, dataset.palette, outlines=True)
    plain = Renderer(dataset.classes, dataset.palette).overlay(image, classmap)
    outlined = renderer.overlay(image, classmap)
    assert (outlined[:, 4] == 255).all()
    assert (outlined[:, 3] == renderer.colours[0]).all()
    assert (outlined[:, 5] == renderer.colours[-1]).all()
    assert (np.delete(outlined, [3, 4, 5], axis=1) == np.delete(plain, [3, 4, 5], axis=1)).all()


def test_pixels_of_no_class_are_outlined_as_others_are() -> None:
    classmap = np.full((4, 10), 255, np.uint8)
    classmap[:, 5:] = 1
    renderer = Renderer(NAMES, PALETTE, outlines=True)
    outlined = renderer.overlay(np.full((4, 10, 3), 200, np.uint8), classmap)
    assert (outlined[:, 4] == 255).all()
    assert (outlined[:, 3] == 0).all()
    assert len(np.unique(outlined[:, :3])) == 1


@pytest.mark.parametrize("colours", Colours)
def test_a_legend_shows_the_colours_that_are_painted(colours: Colours) -> None:
    classmap = np.resize(np.arange(11, dtype=np.uint8), (110, 200))
    renderer = Renderer(CAMVID.classes, CAMVID.palette, 1, colours=colours)
    painted = {tuple(pixel) for pixel in renderer.overlay(np.zeros((110, 200, 3), np.uint8), classmap)[0].tolist()}
    for legend in (renderer.legend(classmap, 400), renderer.small_legend(classmap, 720)):
        shown = {tuple(pixel) for pixel in legend.reshape(-1, 3).tolist()}
        assert len(painted) == 11
        assert painted <= shown


def test_names_are_written_on_request() -> None:
    image, classmap = np.full((120, 200, 3), 9, np.uint8), np.zeros((120, 200), np.uint8)
    plain = Renderer(NAMES, PALETTE).overlay(image, classmap)
    named = Renderer(NAMES, PALETTE, names=True).overlay(image, classmap)
    assert len(np.unique(plain)) <= 3
    assert named.max() > 240


def test_two_renderers_of_one_model_draw_the_same() -> None:
    image = np.random.default_rng(0).integers(0, 256, (120, 200, 3), np.uint8)
    classmap = np.repeat(np.arange(3, dtype=np.uint8), 40)[:, None].repeat(200, axis=1)
    one, other = (Renderer(NAMES, PALETTE, outlines=True, names=True) for _ in range(2))
    one.overlay(image, 2 - classmap)
    assert (one.overlay(image, classmap) == other.overlay(image, classmap)).all()


def test_buffers_are_reused_for_pictures_of_one_size_and_follow_another() -> None:
    renderer = Renderer(NAMES, PALETTE, outlines=True, names=True)
    image, classmap = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
    first = renderer.overlay(image, classmap)
    assert np.shares_memory(renderer.overlay(image, classmap), first)
    assert renderer.overlay(image[:2], classmap[:2]).shape == (2, 6, 3)
    assert renderer.overlay(np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), np.uint8)).shape == (9, 9, 3)


def test_a_picture_and_a_class_map_of_two_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="one size"):
        Renderer(NAMES, PALETTE).overlay(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.uint8))


def test_an_opacity_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"opacity must be 0..1"):
        Renderer(NAMES, PALETTE, opacity=50)


def test_colours_that_are_no_choice_are_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="colours must be one of auto, dataset, colorblind, but got 'red'"):
        Renderer(NAMES, PALETTE, colours="red")


def test_a_palette_that_does_not_go_with_the_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="palette must have one colour a class, 3, but got 2"):
        Renderer(NAMES, PALETTE[:2])
