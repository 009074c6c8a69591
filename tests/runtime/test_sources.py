"""What a user may point at, and what comes out of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from afformer.errors import ImageError
from afformer.runtime.sources import open_source


def picture(path: Path, red: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((2, 3, 3), (0, 0, red), np.uint8))
    return path


def names(paths: tuple[Path, ...], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]


def test_a_single_picture_is_one_frame(tmp_path: Path) -> None:
    path = picture(tmp_path / "street.png", 200)
    (frame,) = open_source(str(path))
    assert (frame.index, frame.name, frame.path) == (0, "street", path)
    assert isinstance(frame.content, np.ndarray)
    assert frame.content[0, 0].tolist() == [200, 0, 0]


def test_a_folder_gives_its_pictures_with_subfolders_in_natural_order(tmp_path: Path) -> None:
    for name in ("10.png", "2.png", "1.png", "b/3.JPG", "a/1.png", "Frame9.png", "frame10.png"):
        picture(tmp_path / name)
    expected = ["1.png", "2.png", "10.png", "a/1.png", "b/3.JPG", "Frame9.png", "frame10.png"]
    assert names(open_source(tmp_path).paths, tmp_path) == expected


def test_hidden_files_and_files_that_are_no_pictures_are_left_out(tmp_path: Path) -> None:
    for name in ("a.png", ".b.png", ".thumbnails/c.png"):
        picture(tmp_path / name)
    (tmp_path / "note.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    assert names(open_source(tmp_path).paths, tmp_path) == ["a.png"]


def test_a_folder_whose_own_path_is_hidden_is_read(tmp_path: Path) -> None:
    picture(tmp_path / ".cache" / "a.png")
    assert open_source(tmp_path / ".cache").length == 1


def test_a_pattern_gives_the_pictures_that_match(tmp_path: Path) -> None:
    for name in ("a1.png", "a2.png", "b1.png", "sub/a3.png"):
        picture(tmp_path / name)
    (tmp_path / "a4.txt").touch()
    assert names(open_source(str(tmp_path / "a*")).paths, tmp_path) == ["a1.png", "a2.png"]
    assert names(open_source(str(tmp_path / "**" / "a*.png")).paths, tmp_path) == ["a1.png", "a2.png", "sub/a3.png"]


def test_a_file_whose_name_looks_like_a_pattern_is_the_file(tmp_path: Path) -> None:
    picture(tmp_path / "a[1].png")
    picture(tmp_path / "a1.png")
    assert names(open_source(str(tmp_path / "a[1].png")).paths, tmp_path) == ["a[1].png"]


def test_several_specs_keep_their_order_and_name_a_file_once(tmp_path: Path) -> None:
    b, a = picture(tmp_path / "z" / "b.png"), picture(tmp_path / "a.png")
    source = open_source([b, tmp_path / "z", a, str(a)])
    assert source.paths == (b, a)
    assert source.length == 2
    assert [frame.index for frame in source] == [0, 1]


def test_a_file_named_by_itself_is_read_whatever_its_extension(tmp_path: Path) -> None:
    picture(tmp_path / "a.png").rename(tmp_path / "upload.tmp")
    (frame,) = open_source(tmp_path / "upload.tmp")
    assert isinstance(frame.content, np.ndarray)


def test_an_unreadable_picture_is_a_frame_with_its_error_and_the_rest_follows(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"broken")
    picture(tmp_path / "2.png")
    broken, whole = open_source(tmp_path)
    assert isinstance(broken.content, ImageError)
    assert "1.png" in str(broken.content)
    assert isinstance(whole.content, np.ndarray)


def test_a_source_can_be_read_twice_and_is_a_context(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with open_source(tmp_path) as source:
        assert [frame.name for frame in source] == [frame.name for frame in source] == ["a"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("missing.png", "there is no such file or folder"),
        ("empty", "holds no pictures"),
        ("*.jpg", "holds no pictures"),
    ],
)
def test_a_source_without_pictures_is_one_clear_line(tmp_path: Path, spec: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match=message) as caught:
        open_source(str(tmp_path / spec))
    assert str(tmp_path / spec) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_source_at_all_is_an_error() -> None:
    with pytest.raises(ImageError, match="no source was given"):
        open_source([])
