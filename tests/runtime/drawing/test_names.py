"""Names on regions: inside, not too small, steady in a video."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from afformer import Segmenter, assets
from afformer.images import ClassMap, read_image
from afformer.runtime.drawing.borders import class_borders
from afformer.runtime.drawing.names import NameTags, Tag

NAMES = ("Road", "Pedestrian", "Sky", "Building")


def written(classmap: ClassMap, tags: NameTags | None = None, *, follow: bool = False) -> tuple[list[Tag], ClassMap]:
    """The tags, and `(H, W)` bool: the pixels that writing them changed on a grey picture."""
    picture = np.full((*classmap.shape, 3), 128, np.uint8)
    placed = (tags or NameTags(NAMES)).draw(picture, classmap, class_borders(classmap), follow=follow)
    return placed, (picture != 128).any(axis=2)


def blobs(seed: int, size_hw: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Four classes in smooth shapes of many sizes."""
    random = np.random.default_rng(seed)
    coarse = random.random((4, 6, 8), np.float32)
    smooth = [cv2.resize(plane, size_hw[::-1], interpolation=cv2.INTER_CUBIC) for plane in coarse]
    return np.asarray(np.argmax(smooth, axis=0), np.uint8)


@pytest.mark.parametrize("size_hw", [(90, 160), (361, 487), (720, 1280)])
@pytest.mark.parametrize("seed", range(4))
def test_every_name_lies_within_a_region_of_its_class(seed: int, size_hw: tuple[int, int]) -> None:
    classmap = blobs(seed, size_hw)
    tags, changed = written(classmap)
    assert tags
    for class_id in range(len(NAMES)):
        _, regions = cv2.connectedComponents((classmap == class_id).astype(np.uint8), connectivity=4)
        own = [regions[tag.top, tag.left] for tag in tags if tag.class_id == class_id]
        assert 0 not in own
        assert set(regions[changed & (classmap == class_id)].tolist()) == set(own)


def test_names_change_no_pixel_of_another_class_and_touch_no_border() -> None:
    for seed in range(6):
        classmap = blobs(seed, (360, 480))
        tags, changed = written(classmap)
        assert len(tags) >= 3
        assert not (changed & (class_borders(classmap) > 0)).any()
        for class_id in range(4):
            if class_id not in {tag.class_id for tag in tags}:
                assert not changed[classmap == class_id].any()


def test_a_name_stands_in_the_middle_of_a_round_region() -> None:
    classmap = np.zeros((360, 480), np.uint8)
    cv2.circle(classmap, (300, 150), 80, 2, cv2.FILLED)
    (tag,) = (tag for tag in written(classmap)[0] if tag.class_id == 2)
    own = np.argwhere(written(np.where(classmap == 2, 2, 255).astype(np.uint8))[1])
    assert np.abs(own.mean(axis=0) - (150, 300)).max() < 8
    assert abs(tag.top - 150) < 20


def test_what_is_too_small_gets_no_name() -> None:
    classmap = np.zeros((360, 480), np.uint8)
    classmap[100:200, 100:110] = 1
    classmap[300:306, :] = 3
    assert {tag.class_id for tag in written(classmap)[0]} == {0}


def test_a_name_that_does_not_fit_is_written_smaller_before_it_is_left_out() -> None:
    sizes = {}
    for width in range(40, 240, 8):
        classmap = np.full((720, 1280), 2, np.uint8)
        classmap[200:400, 200 : 200 + width] = 1
        sizes[width] = next((tag.size for tag in written(classmap)[0] if tag.class_id == 1), 0)
    found = list(sizes.values())
    assert found == sorted(found)
    assert len(set(found)) == 3


@pytest.mark.parametrize(
    ("size_hw", "size"), [((120, 240), 11), ((360, 480), 12), ((720, 1280), 24), ((4320, 7680), 144), ((600, 2400), 40)]
)
def test_letters_grow_with_the_picture(size_hw: tuple[int, int], size: int) -> None:
    (tag,) = written(np.zeros(size_hw, np.uint8))[0]
    assert tag.size == size


@pytest.mark.parametrize("size_hw", [(1, 1), (5, 2000), (2000, 5), (20, 20)])
def test_pictures_without_room_get_no_names(size_hw: tuple[int, int]) -> None:
    assert written(np.zeros(size_hw, np.uint8))[0] == []


def test_pixels_of_no_class_get_no_name() -> None:
    assert written(np.full((360, 480), 255, np.uint8))[0] == []


def test_the_same_picture_is_drawn_the_same_whatever_came_before() -> None:
    tags = NameTags(NAMES)
    first = written(blobs(0, (360, 480)), tags)[0]
    written(blobs(1, (360, 480)), tags)
    assert written(blobs(0, (360, 480)), tags)[0] == first


def ride(frames: int) -> list[npt.NDArray[np.uint8]]:
    """A camera that drives along a wall with a gap that opens and closes."""
    maps = []
    for index in range(frames):
        classmap = np.full((360, 480), 3, np.uint8)
        classmap[240:] = 0
        cv2.circle(classmap, (100 + 6 * index, 120), 60, 2, cv2.FILLED)
        maps.append(classmap)
    return maps


def test_names_stay_where_they_are_in_a_video_as_long_as_they_fit() -> None:
    tags = NameTags(NAMES)
    roads = {tuple(tag for tag in written(m, tags, follow=True)[0] if tag.class_id == 0) for m in ride(40)}
    assert len(roads) == 1


def test_names_of_a_video_never_leave_their_regions() -> None:
    tags, seen = NameTags(NAMES), 0
    for classmap in ride(40):
        placed, changed = written(classmap, tags, follow=True)
        seen += any(tag.class_id == 2 for tag in placed)
        assert not (changed & (class_borders(classmap) > 0)).any()
    assert seen > 25


def test_a_region_that_comes_into_a_video_is_soon_named() -> None:
    tags = NameTags(NAMES)
    empty, full = np.zeros((360, 480), np.uint8), np.zeros((360, 480), np.uint8)
    full[100:200, 100:300] = 1
    written(empty, tags, follow=True)
    frames = [written(full, tags, follow=True)[0] for _ in range(6)]
    assert any(tag.class_id == 1 for tag in frames[-1])


def test_a_video_of_another_size_starts_afresh() -> None:
    tags = NameTags(NAMES)
    for size_hw in ((360, 480), (90, 120), (720, 1280)):
        _, changed = written(np.zeros(size_hw, np.uint8), tags, follow=True)
        assert changed.any()


def test_the_bundled_street_has_its_large_things_named(tmp_path: Path) -> None:
    with Segmenter(assets.MODEL) as segment:
        picture = read_image(assets.pictures()[0])
        names = {segment.spec.classes[tag.class_id] for tag in written_by(segment, picture)}
    assert {"Sky", "Road", "Car", "Building"} <= names


def written_by(segment: Segmenter, picture: npt.NDArray[np.uint8]) -> list[Tag]:
    classmap = segment(picture)
    return NameTags(segment.spec.classes).draw(picture.copy(), classmap, class_borders(classmap))
