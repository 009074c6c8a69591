from __future__ import annotations

import numpy as np
import pytest

from afformer.runtime.choices import Regions
from afformer.runtime.regions import describe_classes
from tests.builders.regions import from_polygons, from_rle

NAMES = ("road", "car", "sky", "tree")


@pytest.mark.parametrize("regions", [Regions.RLE, Regions.POLYGONS])
@pytest.mark.parametrize("cell", [1, 5])
def test_regions_drawn_again_are_the_class_map(regions: Regions, cell: int) -> None:
    cells = np.random.default_rng(0).integers(0, 4, (9, 7), np.uint8)
    classmap = np.kron(cells, np.ones((cell, cell), np.uint8))
    for entry in describe_classes(classmap, NAMES, regions):
        drawn = from_rle(entry["rle"]) if regions is Regions.RLE else from_polygons(entry["polygons"], classmap.shape)
        np.testing.assert_array_equal(drawn, classmap == entry["id"])


def test_run_lengths_go_down_the_columns_and_start_outside_as_cocos_do() -> None:
    classmap = np.array([[1, 0, 0], [1, 0, 1]], np.uint8)
    told = {entry["id"]: entry["rle"] for entry in describe_classes(classmap, NAMES, Regions.RLE)}
    assert told[0] == {"size": [2, 3], "counts": [2, 3, 1]}
    assert told[1] == {"size": [2, 3], "counts": [0, 2, 3, 1]}


def test_the_largest_class_comes_first_with_its_share() -> None:
    first, second = describe_classes(np.array([[2, 2, 3, 2]], np.int32), NAMES)
    assert first == {"id": 2, "name": "sky", "pixels": 3, "share": 0.75}
    assert second["name"] == "tree"
