from __future__ import annotations

from pathlib import Path

import pytest

from afformer import datasets
from afformer.errors import AfformerError
from afformer.train.folders import splits


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("dataset", "train", "val"),
    [
        ("camvid", ("train/images/a.jpg", "train/labels/a.png"), ("val/images/b.jpg", "val/labels/b.png")),
        ("camvid", ("images/train/a.jpg", "labels/train/a.png"), ("images/val/b.jpg", "labels/val/b.png")),
        (
            "cityscapes",
            ("leftImg8bit/train/ulm/a_leftImg8bit.png", "gtFine/train/ulm/a_gtFine_labelIds.png"),
            ("leftImg8bit/val/bonn/b_leftImg8bit.png", "gtFine/val/bonn/b_gtFine_labelIds.png"),
        ),
        (
            "ade20k",
            ("images/training/a.jpg", "annotations/training/a.png"),
            ("images/validation/b.jpg", "annotations/validation/b.png"),
        ),
        (
            "coco-stuff",
            ("images/train2017/a.jpg", "annotations/train2017/a.png"),
            ("images/val2017/b.jpg", "annotations/val2017/b.png"),
        ),
    ],
)
def test_data_sets_are_found_as_they_are_unpacked(
    tmp_path: Path, dataset: str, train: tuple[str, str], val: tuple[str, str]
) -> None:
    touch(*(tmp_path / path for path in (*train, *val)))
    found = splits(datasets.by_name(dataset), tmp_path)
    assert found.train == [(tmp_path / train[0], tmp_path / train[1])]
    assert found.val == [(tmp_path / val[0], tmp_path / val[1])]


def test_without_a_split_the_last_tenth_by_name_is_held_out(tmp_path: Path) -> None:
    touch(*(tmp_path / kind / f"{n:02d}.png" for kind in ("images", "labels") for n in range(25)))
    found = splits(datasets.generic(3), tmp_path)
    assert [picture.stem for picture, _ in found.val] == ["23", "24"]
    assert [picture.stem for picture, _ in found.train] == [f"{n:02d}" for n in range(23)]


def test_folders_that_cannot_be_learnt_from_are_one_line(tmp_path: Path) -> None:
    touch(tmp_path / "one" / "images" / "a.png", tmp_path / "one" / "labels" / "a.png")
    touch(tmp_path / "half" / "train" / "images" / "a.png", tmp_path / "half" / "train" / "labels" / "a.png")
    (tmp_path / "empty").mkdir()
    for name, complaint in {
        "none": "there is no such folder",
        "empty": "holds no pictures in a known place; expected images with labels; or train/images",
        "one": "holds one picture, expected two at least",
        "half": "there is no such folder of pictures",
    }.items():
        with pytest.raises(AfformerError, match=complaint) as caught:
            splits(datasets.generic(3), tmp_path / name)
        assert "\n" not in str(caught.value)
