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


@pytest.mark.filterwarnings("ignore:__array__ implementation")
@pytest.mark.parametrize("regions", [Regions.RLE, Regions.POLYGONS])
@pytest.mark.parametrize("cell", [1, 3])
def test_cocos_own_tools_draw_the_class_map(regions: Regions, cell: int) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    cells = np.random.default_rng(1).choice(3, (20, 31), p=[0.7, 0.2, 0.1]).astype(np.uint8)
    classmap = np.kron(cells, np.ones((cell, cell), np.uint8))
    for entry in describe_classes(classmap, NAMES, regions):
        packed = coco.frPyObjects(entry[regions.value], *classmap.shape)
        drawn = coco.decode(packed if regions is Regions.RLE else coco.merge(packed))
        np.testing.assert_array_equal(drawn == 1, classmap == entry["id"])


def test_a_polygon_goes_along_the_edges_of_pixels_and_around_holes() -> None:
    classmap = np.zeros((4, 5), np.uint8)
    classmap[1:4, 1:4] = 1
    classmap[2, 2] = 0
    square, hole = [1, 1, 4, 1, 4, 4, 1, 4], [3, 2, 2, 2, 2, 3, 3, 3]
    told = {entry["id"]: entry["polygons"] for entry in describe_classes(classmap, NAMES, Regions.POLYGONS)}
    assert sorted(told[1][0]) == sorted([*square, *square[:2], *hole, *hole[:2]])
    assert len(told[1]) == 1
    assert [2, 2, 3, 2, 3, 3, 2, 3] in told[0]


def test_run_lengths_go_down_the_columns_and_start_outside_as_cocos_do() -> None:
    classmap = np.array([[1, 0, 0], [1, 0, 1]], np.uint8)
    told = {entry["id"]: entry["rle"] for entry in describe_classes(classmap, NAMES, Regions.RLE)}
    assert told[0] == {"size": [2, 3], "counts": [2, 3, 1]}
    assert told[1] == {"size": [2, 3], "counts": [0, 2, 3, 1]}


def test_the_largest_class_comes_first_with_its_share() -> None:
    first, second = describe_classes(np.array([[2, 2, 3, 2]], np.int32), NAMES)
    assert first == {"id": 2, "name": "sky", "pixels": 3, "share": 0.75}
    assert second["name"] == "tree"
