"""What a user or a checkpoint says about the ids in labels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from afformer import datasets
from afformer.datasets import LabelOptions
from afformer.errors import AfformerError, ImageError
from afformer.spec import ModelSpec

THREE = datasets.custom(("road", "car", "7"), ((128, 64, 128), (0, 0, 142), (70, 130, 180)))
SPEC = ModelSpec("tiny", (64, 64), THREE.classes, THREE.palette)


def classes(dataset: datasets.Dataset, *ids: int) -> list[int]:
    found: list[int] = dataset.train_ids(np.array([ids], np.uint8))[0].tolist()
    return found


def test_an_offset_of_minus_one_reads_labels_that_count_from_one() -> None:
    assert classes(LabelOptions(offset=-1).applied(THREE), 0, 1, 2, 3, 255) == [255, 0, 1, 2, 255]


def test_an_offset_of_zero_reads_labels_that_are_reduced_already() -> None:
    assert classes(LabelOptions(offset=0).applied(datasets.ADE20K), 0, 149, 255) == [0, 149, 255]


def test_ignored_ids_win_over_classes() -> None:
    assert classes(LabelOptions(ignore=(2, 9)).applied(THREE), 0, 1, 2, 9, 255) == [0, 1, 255, 255, 255]


def test_a_map_gives_ids_classes_by_name_and_number(tmp_path: Path) -> None:
    (tmp_path / "map.txt").write_text("10 Road\n11: car\n12 1\n\n13 7\n0 ignore\n14=255\n")
    mapped = LabelOptions(map=tmp_path / "map.txt").applied(THREE)
    assert classes(mapped, 10, 11, 12, 13, 0, 14, 255) == [0, 1, 1, 2, 255, 255, 255]
    with pytest.raises(ImageError, match=r"holds the id 1, but expected 10..13 for 3 classes, or 0, 14, 255 to ignore"):
        classes(mapped, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "10 truck",
            "line 1: there is no class 'truck'; expected one of road, car, 7, a number from 0",
        ),
        ("10 3", "there is no class '3'"),
        ("0 road\nroad", "line 2: 'road' is not an id"),
        ("70000 road", "is not an id"),
        ("1 road\n1 car", "line 2: the id 1 is there twice"),
        ("0 ignore", "gives no id a class"),
        ("", "gives no id a class"),
    ],
)
def test_a_map_that_cannot_be_used_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "map.txt").write_text(text)
    with pytest.raises(AfformerError, match=message) as caught:
        LabelOptions(map=tmp_path / "map.txt").applied(THREE)
    assert str(tmp_path / "map.txt") in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (LabelOptions(offset=1), "`label_offset=1` takes the ids -1 to 1 for 3 classes"),
        (LabelOptions(offset=-254), "takes the ids 254 to 256 for 3 classes"),
        (LabelOptions(offset=0, map=Path("map.txt")), "give one of them"),
        (LabelOptions(ignore=(-1,)), "`ignore_label` must be 0 to 65535"),
        (LabelOptions(map=Path("no-such.txt")), "no-such.txt: cannot be read"),
    ],
)
def test_options_that_cannot_be_are_refused(options: LabelOptions, message: str) -> None:
    with pytest.raises(AfformerError, match=message):
        options.applied(THREE)


def test_nothing_said_changes_nothing() -> None:
    assert LabelOptions().applied(datasets.CAMVID) is datasets.CAMVID


def test_more_classes_than_ids_from_one_are_refused() -> None:
    with pytest.raises(AfformerError, match="takes the ids 1 to 255 for 255 classes"):
        LabelOptions(offset=-1).applied(datasets.generic(255))


def test_a_model_says_whether_its_labels_count_from_one() -> None:
    reduced = dataclasses.replace(SPEC, reduce_zero_label=True)
    assert classes(datasets.for_model(reduced, None, Path("m.onnx")), 0, 1, 3) == [255, 0, 2]
    assert classes(datasets.for_model(SPEC, None, Path("m.onnx")), 0, 1, 2) == [0, 1, 2]
    assert ModelSpec.from_json(reduced.to_json()).reduce_zero_label is True


def test_the_user_wins_over_the_model() -> None:
    reduced = dataclasses.replace(SPEC, reduce_zero_label=True)
    assert classes(datasets.for_model(reduced, None, Path("m"), LabelOptions(offset=0)), 0, 1, 2) == [0, 1, 2]


def test_labels_with_numbers_of_their_own_keep_them_whatever_the_model_says() -> None:
    city = datasets.CITYSCAPES
    spec = ModelSpec("tiny", (64, 64), city.classes, city.palette, "cityscapes", reduce_zero_label=False)
    assert datasets.for_model(spec, None, Path("m")).labels == city.labels


@pytest.mark.parametrize("names", [tuple(f"own {i}" for i in range(11)), datasets.CAMVID.classes[::-1]])
def test_a_data_set_of_other_classes_or_another_order_is_refused(names: tuple[str, ...]) -> None:
    spec = ModelSpec("tiny", (64, 64), names, datasets.CAMVID.palette)
    with pytest.raises(AfformerError, match=r"m.onnx has other classes than CamVid: class 0 is '.*' in the model"):
        datasets.for_model(spec, "camvid", Path("m.onnx"))


def test_classes_without_names_and_some_other_names_are_accepted() -> None:
    for names in (datasets.generic(11).classes, ("Sky", *(f"own {i}" for i in range(10)))):
        spec = ModelSpec("tiny", (64, 64), names, datasets.CAMVID.palette)
        assert datasets.for_model(spec, "camvid", Path("m.onnx")) is datasets.CAMVID
