"""The colours of overlays: distinct, neither black nor white, the same every time."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from afformer import datasets
from afformer.datasets import Dataset
from afformer.runtime.choices import Colours
from afformer.runtime.drawing import oklab
from afformer.runtime.drawing.colours import least_difference, overlay_colours
from afformer.runtime.drawing.oklab import Vision

ALL = list(datasets.DATASETS.values())
CHOSEN = [Colours.AUTO, Colours.COLORBLIND]


def chosen(dataset: Dataset, colours: Colours) -> tuple[tuple[int, int, int], ...]:
    return overlay_colours(dataset.classes, dataset.palette, colours)


def hue(rgb: tuple[int, int, int]) -> float:
    """Degrees: red is near 25, yellow near 105, green near 140, blue near 260."""
    _, green_red, blue_yellow = oklab.from_rgb(rgb)
    return float(np.degrees(np.arctan2(blue_yellow, green_red)) % 360)


@pytest.mark.parametrize(("name", "least"), [("camvid", 0.14), ("cityscapes", 0.10), ("ade20k", 0.035)])
def test_classes_are_easier_to_tell_apart_than_in_the_palette(name: str, least: float) -> None:
    dataset = datasets.by_name(name)
    assert least_difference(dataset.palette) < 0.75 * least
    assert least_difference(chosen(dataset, Colours.AUTO)) >= least


@pytest.mark.parametrize("vision", Vision)
@pytest.mark.parametrize(("name", "least"), [("camvid", 0.135), ("cityscapes", 0.09), ("ade20k", 0.015)])
def test_the_colour_blind_can_tell_all_classes_apart_if_asked_for(name: str, least: float, vision: Vision) -> None:
    assert least_difference(chosen(datasets.by_name(name), Colours.COLORBLIND), vision) >= least


@pytest.mark.parametrize("vision", [Vision.PROTANOPIA, Vision.DEUTERANOPIA])
def test_other_choices_do_not_promise_that(vision: Vision) -> None:
    for colours in (Colours.AUTO, Colours.DATASET):
        assert least_difference(chosen(datasets.CAMVID, colours), vision) < 0.1


@pytest.mark.parametrize("dataset", [*ALL, datasets.generic(40)], ids=lambda dataset: dataset.name)
@pytest.mark.parametrize("colours", CHOSEN)
def test_no_class_is_black_or_white(dataset: Dataset, colours: Colours) -> None:
    lightness = oklab.from_rgb(chosen(dataset, colours))[:, 0]
    assert lightness.min() > (0.57 if colours is Colours.AUTO else 0.41)
    assert lightness.max() < 0.95


@pytest.mark.parametrize("dataset", ALL, ids=lambda dataset: dataset.name)
def test_the_palette_remains_on_request(dataset: Dataset) -> None:
    assert chosen(dataset, Colours.DATASET) == dataset.palette


def test_known_things_have_the_colour_that_people_expect() -> None:
    for dataset, person, plant in (
        (datasets.CAMVID, "Pedestrian", "Tree"),
        (datasets.CITYSCAPES, "person", "vegetation"),
    ):
        by_name = dict(zip(dataset.classes, chosen(dataset, Colours.AUTO), strict=True))
        assert hue(by_name[person]) < 45
        assert 115 < hue(by_name[plant]) < 165


def test_classes_keep_their_palettes_hue_where_nothing_is_in_the_way() -> None:
    classes, palette = ("a", "b", "c"), ((120, 10, 10), (10, 90, 10), (10, 10, 120))
    for before, after in zip(palette, overlay_colours(classes, palette), strict=True):
        assert abs(hue(before) - hue(after)) < 25


def test_classes_of_one_palette_colour_become_distinct() -> None:
    assert least_difference(overlay_colours(tuple("abcd"), ((0, 0, 0),) * 4)) > 0.2


@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_any_number_of_classes_has_colours(count: int) -> None:
    colours = chosen(datasets.generic(count), Colours.AUTO)
    assert len(colours) == count
    assert all(0 <= level <= 255 for colour in colours for level in colour)


def test_colours_are_the_same_in_every_process() -> None:
    code = (
        "from afformer import datasets\n"
        "from afformer.runtime.drawing.colours import overlay_colours\n"
        "print(overlay_colours(datasets.CAMVID.classes, datasets.CAMVID.palette))"
    )
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert fresh.stdout.strip() == str(chosen(datasets.CAMVID, Colours.AUTO))


def test_camvids_colours_are_these() -> None:
    """Who knows a model's pictures finds the same colours after an update; to change them is a decision."""
    assert dict(zip(datasets.CAMVID.classes, chosen(datasets.CAMVID, Colours.AUTO), strict=True)) == {
        "Sky": (207, 212, 255),
        "Building": (209, 119, 15),
        "Pole": (244, 217, 22),
        "Road": (158, 101, 139),
        "Pavement": (19, 148, 249),
        "Tree": (53, 173, 3),
        "SignSymbol": (249, 104, 208),
        "Fence": (90, 134, 110),
        "Car": (144, 81, 225),
        "Pedestrian": (219, 41, 67),
        "Bicyclist": (22, 246, 237),
    }


def test_an_unknown_choice_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="auto, dataset, colorblind, but got 'rainbow'"):
        Colours("rainbow")
