from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from afformer.errors import ImageError
from afformer.images import write_mask
from afformer.quantize.pictures import Feeds, spread, survey
from afformer.runtime.choices import Fit
from afformer.runtime.tiling import Tiling
from tests.builders.small_onnx import write_pictures
from tests.builders.tiny_onnx import SPEC

HW = (64, 96)


def test_a_good_folder_gives_no_warnings(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 16)
    found = survey(tmp_path, HW)
    assert (list(found.paths), found.warnings) == (paths, ())


def test_few_pictures_are_warned_of(tmp_path: Path) -> None:
    write_pictures(tmp_path, 3)
    assert survey(tmp_path, HW).warnings[0].startswith("Only 3 usable pictures:")


def test_identical_pictures_are_warned_of_and_used_once(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 16)
    shutil.copy(paths[2], tmp_path / "zz_again.png")
    found = survey(tmp_path, HW)
    assert list(found.paths) == paths
    assert found.warnings == ("1 picture is identical to another one and left out: zz_again.png.",)


@pytest.mark.parametrize("size", [(63, 200), (200, 95)])
def test_pictures_that_are_too_low_or_too_narrow_are_warned_of_and_used(tmp_path: Path, size: tuple[int, int]) -> None:
    write_pictures(tmp_path, 15)
    write_pictures(tmp_path, 1, size, first=90)
    found = survey(tmp_path, HW)
    assert len(found.paths) == 16
    assert found.warnings == ("1 picture is smaller than the model's input 96x64 and blurred when enlarged: 090.png.",)


def test_unreadable_pictures_are_warned_of_with_their_reason_and_left_out(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 17)
    paths[4].write_bytes(paths[4].read_bytes()[:200])
    found = survey(tmp_path, HW)
    assert paths[4] not in found.paths
    assert len(found.paths) == 16
    assert "1 picture is unreadable and left out" in found.warnings[0]
    assert "truncated" in found.warnings[0]


def test_many_bad_pictures_are_counted_not_listed(tmp_path: Path) -> None:
    for path in write_pictures(tmp_path, 30)[16:]:
        path.write_bytes(b"")
    (warning,) = survey(tmp_path, HW).warnings
    assert "14 pictures are unreadable" in warning
    assert "and 11 more" in warning


def test_a_folder_where_nothing_can_be_read_is_an_error(tmp_path: Path) -> None:
    for path in write_pictures(tmp_path, 2):
        path.write_bytes(b"no picture")
    with pytest.raises(ImageError, match="none of 2 pictures can be read"):
        survey(tmp_path, HW)


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(ImageError, match="holds no pictures"):
        survey(tmp_path, HW)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such folder"):
        survey(tmp_path / "nowhere", HW)


def test_an_empty_list_is_an_error() -> None:
    with pytest.raises(ImageError, match="none of 0 pictures"):
        survey([], HW)


def test_the_digest_is_of_the_contents_whatever_their_names_and_order(tmp_path: Path) -> None:
    one, two = write_pictures(tmp_path / "a", 2)
    (tmp_path / "b").mkdir()
    shutil.copy(one, tmp_path / "b" / "z.png")
    shutil.copy(two, tmp_path / "b" / "a.png")
    digest = survey(tmp_path / "a", HW).sha256
    assert survey(tmp_path / "b", HW).sha256 == digest
    assert survey([one], HW).sha256 != digest


def test_of_many_pictures_an_even_spread_is_taken(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 20)
    assert list(survey(tmp_path, HW, limit=4).paths) == [paths[2], paths[7], paths[12], paths[17]]
    assert spread(paths, 99) == paths


def test_hidden_files_are_not_pictures(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 1)
    shutil.copy(paths[0], tmp_path / ".hidden.png")
    write_pictures(tmp_path / ".thumbnails", 1, first=9)
    assert list(survey(tmp_path, HW).paths) == paths


def test_progress_counts_every_picture(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_pictures(tmp_path, 3)
    survey(tmp_path, HW, seen=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def label_map(path: Path, *, indexed: bool, seed: int = 0) -> Path:
    areas = np.random.default_rng(seed).integers(0, 12, (4, 6)).repeat(20, 0).repeat(20, 1).astype(np.uint8)
    if indexed:
        write_mask(path, areas, [(20 * i, 255 - 20 * i, 90) for i in range(12)])
    else:
        cv2.imwrite(str(path), areas)
    return path


@pytest.mark.parametrize("indexed", [True, False])
def test_label_maps_among_the_pictures_are_left_out_and_named(tmp_path: Path, indexed: bool) -> None:
    pictures = write_pictures(tmp_path, 3)
    label_map(tmp_path / "001_L.png", indexed=indexed)
    found = survey(tmp_path, (64, 96))
    assert found.paths == tuple(pictures)
    assert "1 picture is apparently a label map and left out: 001_L.png." in found.warnings


def test_a_folder_of_label_maps_is_refused(tmp_path: Path) -> None:
    for seed in range(3):
        label_map(tmp_path / f"{seed}.png", indexed=True, seed=seed)
    with pytest.raises(ImageError, match=r"holds label maps, not pictures: 0.png, 1.png, 2.png .* name the folder of"):
        survey(tmp_path, (64, 96))


def test_a_grey_picture_and_a_black_frame_are_no_label_maps(tmp_path: Path) -> None:
    (grey,) = write_pictures(tmp_path, 1)
    cv2.imwrite(str(grey), np.asarray(cv2.imread(str(grey), cv2.IMREAD_GRAYSCALE)))
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((64, 96, 3), np.uint8))
    assert len(survey(tmp_path, (64, 96)).paths) == 2


def levels(feeds: Feeds, count: int) -> list[list[float]]:
    """Mean brightness of every picture, batch by batch."""
    return [[float(picture.mean()) for picture in batch] for batch in feeds.of(count)]


def test_the_last_batch_holds_the_pictures_that_are_left(tmp_path: Path) -> None:
    feeds = Feeds(write_pictures(tmp_path, 5), dataclasses.replace(SPEC, batch=3))
    means = levels(feeds, 5)
    assert [len(batch) for batch in means] == [3, 2]
    assert len({level for batch in means for level in batch}) == 5


def test_feeds_are_pictures_as_the_model_takes_them_evenly_spread(tmp_path: Path) -> None:
    feeds = Feeds(write_pictures(tmp_path, 9), SPEC)
    assert [feed.shape for feed in feeds.of(3)] == [(1, 3, *HW)] * 3
    assert levels(feeds, 3) == levels(Feeds([feeds.paths[1], feeds.paths[4], feeds.paths[7]], SPEC), 3)


def test_with_sliding_windows_every_tile_is_a_feed(tmp_path: Path) -> None:
    feeds = Feeds(write_pictures(tmp_path, 2, (100, 120)), dataclasses.replace(SPEC, batch=3), Fit.SLIDE)
    tiles = 2 * len(Tiling.over((100, 120), HW))
    assert sum(len(feed) for feed in feeds.of(2)) == tiles


def test_feeds_tell_how_many_pictures_are_done(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    feeds = Feeds(write_pictures(tmp_path, 3), dataclasses.replace(SPEC, batch=2))
    assert len(list(feeds.of(3, lambda done, total: seen.append((done, total))))) == 2
    assert seen == [(1, 3), (2, 3), (3, 3)]
