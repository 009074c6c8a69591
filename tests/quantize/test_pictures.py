from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from afformer.errors import ImageError
from afformer.quantize.pictures import batches, spread, survey
from tests.builders.small_onnx import write_pictures

HW = (64, 96)


def test_a_good_folder_gives_no_warnings(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 16)
    found = survey(tmp_path, HW)
    assert (list(found.paths), found.warnings) == (paths, ())


def test_few_pictures_are_said(tmp_path: Path) -> None:
    write_pictures(tmp_path, 3)
    assert survey(tmp_path, HW).warnings[0].startswith("Only 3 usable pictures:")


def test_repeated_pictures_are_said_and_used_once(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 16)
    shutil.copy(paths[2], tmp_path / "zz_again.png")
    found = survey(tmp_path, HW)
    assert list(found.paths) == paths
    assert found.warnings == ("1 picture is the same as another one and left out: zz_again.png.",)


@pytest.mark.parametrize("size", [(63, 200), (200, 95)])
def test_pictures_that_are_too_low_or_too_narrow_are_said_and_used(tmp_path: Path, size: tuple[int, int]) -> None:
    write_pictures(tmp_path, 15)
    write_pictures(tmp_path, 1, size, first=90)
    found = survey(tmp_path, HW)
    assert len(found.paths) == 16
    assert found.warnings == ("1 picture is smaller than the model's input 96x64 and blurred by enlarging: 090.png.",)


def test_unreadable_pictures_are_said_with_their_reason_and_left_out(tmp_path: Path) -> None:
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


def test_hidden_files_are_no_pictures(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 1)
    shutil.copy(paths[0], tmp_path / ".hidden.png")
    write_pictures(tmp_path / ".thumbnails", 1, first=9)
    assert list(survey(tmp_path, HW).paths) == paths


def test_progress_counts_every_picture(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_pictures(tmp_path, 3)
    survey(tmp_path, HW, seen=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_last_batch_is_filled_with_its_own_pictures(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, 5)
    means = [[float(picture.mean()) for picture in batch] for batch in batches(paths, np.asarray, 3)]
    assert [len(batch) for batch in means] == [3, 3]
    assert means[1][2] == means[1][0] != means[1][1]
