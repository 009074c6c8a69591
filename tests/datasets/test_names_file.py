from __future__ import annotations

from pathlib import Path

import pytest

from afformer import datasets
from afformer.datasets.names_file import read_names
from afformer.errors import AfformerError


def names_file(folder: Path, text: str) -> Path:
    path = folder / "classes.txt"
    path.write_text(text, "utf-8")
    return path


def test_a_line_is_a_class_and_its_place_the_id(tmp_path: Path) -> None:
    dataset = read_names(names_file(tmp_path, "sky\nroad #804080\ntraffic light  #0000fF\n\n"))
    assert dataset.classes == ("sky", "road", "traffic light")
    assert dataset.palette == (datasets.generic(3).palette[0], (128, 64, 128), (0, 0, 255))
    assert dataset.labels[0].ids == (0, 1, 2)


@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_of_any_editor_are_read(tmp_path: Path, mark: str, end: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(end.join([mark + "Straße", "#1 lane", "sea#12"]).encode())
    assert read_names(path).classes == ("Straße", "#1 lane", "sea#12")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty; expected one class name a line"),
        ("sky\n\nroad\n", "line 2: is empty; the line's place is the class id"),
        ("sky\nroad\nsky\n", "line 3: 'sky' is there twice"),
        ("\n".join(map(str, range(256))), "names 256 classes"),
    ],
)
def test_a_file_that_cannot_be_meant_is_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(AfformerError, match=complaint) as caught:
        read_names(names_file(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_not_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    for name in ("none.txt", "picture.png"):
        with pytest.raises(AfformerError, match=f"{name}: cannot be read as a text of class names"):
            read_names(tmp_path / name)
