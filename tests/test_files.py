from __future__ import annotations

from pathlib import Path

import pytest

from afformer.errors import OutputError
from afformer.files import check_writable, make_folder, replacing


def test_file_appears_whole_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_error_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"), replacing(tmp_path / "no" / "a.txt") as temporary:
        temporary.write_text("x")


def test_missing_parent_folders_are_created_before_the_work(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b" / "c.txt")
    assert (tmp_path / "a" / "b").is_dir()
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be created as a folder"):
        check_writable(tmp_path / "file" / "c.txt")


def test_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"):
        check_writable(tmp_path)


def test_check_leaves_nothing_and_touches_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    check_writable(tmp_path / "a.txt")
    check_writable(tmp_path / "b.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_an_output_that_is_an_input_is_refused_under_whatever_name(tmp_path: Path) -> None:
    source, other = tmp_path / "model.onnx", tmp_path / "other.onnx"
    source.write_text("model")
    other.write_text("other")
    (tmp_path / "folder").mkdir()
    (tmp_path / "soft.onnx").symlink_to(source)
    (tmp_path / "hard.onnx").hardlink_to(source)
    for name in ("model.onnx", "soft.onnx", "hard.onnx", "folder/../model.onnx"):
        with pytest.raises(OutputError, match=r"is the input .*model.onnx itself and is not overwritten"):
            check_writable(tmp_path / name, [other, None, source])
    check_writable(other, [source])
    check_writable(tmp_path / "new.onnx", [source, tmp_path / "missing.onnx"])
    assert source.read_text() == "model"


def test_folders_are_made_with_their_parents_unless_a_file_is_in_the_way(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be created as a folder"):
        make_folder(tmp_path / "file" / "c")
