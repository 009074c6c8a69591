"""Data sets: tables, label conventions, folder layouts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afformer import datasets
from afformer.errors import AfformerError, ImageError

SHARED = Path(__file__).parents[1] / ".." / "shared"


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(("name", "count"), [("camvid", 11), ("cityscapes", 19), ("ade20k", 150), ("coco-stuff", 171)])
def test_a_data_set_has_as_many_unique_names_as_classes_and_a_colour_each(name: str, count: int) -> None:
    dataset = datasets.by_name(name)
    assert dataset.num_classes == count == len(set(dataset.classes)) == len(dataset.palette)
    assert all(class_name == class_name.strip() != "" for class_name in dataset.classes)
    assert all(0 <= value <= 255 for colour in dataset.palette for value in colour)
    assert datasets.by_class_count(count) is dataset


@pytest.mark.parametrize(
    ("name", "class_id", "class_name", "colour"),
    [
        ("camvid", 4, "Pavement", (60, 40, 222)),
        ("cityscapes", 13, "car", (0, 0, 142)),
        ("ade20k", 7, "bed", (204, 5, 255)),
        ("ade20k", 149, "flag", (92, 0, 255)),
        ("coco-stuff", 79, "toothbrush", (192, 160, 0)),
        ("coco-stuff", 170, "wood", (64, 64, 0)),
    ],
)
def test_classes_lie_where_the_field_has_them(
    name: str, class_id: int, class_name: str, colour: tuple[int, ...]
) -> None:
    dataset = datasets.by_name(name)
    assert (dataset.classes[class_id], dataset.palette[class_id]) == (class_name, colour)


def test_the_camvid_table_is_that_of_the_trained_checkpoint() -> None:
    torch = pytest.importorskip("torch")
    checkpoint = SHARED / "checkpoints" / "afformer_tiny_camvid.pth"
    if not checkpoint.exists():
        pytest.skip("the shared checkpoint is not here")
    meta = torch.load(checkpoint, weights_only=True)["meta"]
    assert tuple(meta["CLASSES"]) == datasets.CAMVID.classes
    assert [tuple(colour) for colour in meta["PALETTE"]] == list(datasets.CAMVID.palette)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        AfformerError, match="unknown data set 'pascal'; known are camvid, cityscapes, ade20k, coco-stuff"
    ):
        datasets.by_name("pascal")


def test_a_class_count_of_no_data_set_gives_none() -> None:
    assert datasets.by_class_count(21) is None


@given(st.integers(1, 600))
def test_generic_classes_have_unique_names_and_colours_that_do_not_change(count: int) -> None:
    dataset = datasets.generic(count)
    assert len(set(dataset.classes)) == len(set(dataset.palette)) == count
    assert dataset == datasets.generic(count)
    assert dataset.classes[0] == "class 0"


def test_neighbouring_generic_colours_are_far_apart() -> None:
    palette = np.array(datasets.generic(40).palette, int)
    assert np.abs(np.diff(palette, axis=0)).sum(1).min() > 100


def test_ade20k_labels_count_from_one_and_zero_is_ignored() -> None:
    label = np.array([[0, 1, 2, 150, 255]], np.uint8)
    assert datasets.ADE20K.train_ids(label).tolist() == [[255, 0, 1, 149, 255]]


def test_camvid_labels_mark_unlabelled_pixels_with_11_or_255() -> None:
    assert datasets.CAMVID.train_ids(np.array([[0, 10, 11, 255]], np.uint8)).tolist() == [[0, 10, 255, 255]]


def test_cityscapes_label_ids_become_train_ids() -> None:
    label = np.arange(34, dtype=np.uint8)[None]
    ids = datasets.CITYSCAPES.train_ids(label, Path("ulm_000000_000019_gtFine_labelIds.png"))[0].tolist()
    counted = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10}
    counted |= {24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}
    assert ids == [counted.get(label_id, 255) for label_id in range(34)]


def test_cityscapes_train_ids_stay() -> None:
    label = np.array([[0, 18, 255]], np.uint8)
    path = Path("ulm_000000_000019_gtFine_labelTrainIds.png")
    assert datasets.CITYSCAPES.train_ids(label, path).tolist() == label.tolist()


def test_a_file_of_no_known_kind_is_refused() -> None:
    with pytest.raises(
        ImageError, match=r"color.png: is not a label file of Cityscapes; expected a name like .*labelIds"
    ):
        datasets.CITYSCAPES.train_ids(np.zeros((1, 1), np.uint8), Path("ulm_gtFine_color.png"))


def test_coco_stuff_pixel_maps_close_their_gaps() -> None:
    label = np.array([[0, 10, 12, 89, 91, 181, 255]], np.uint8)
    assert datasets.COCO_STUFF.train_ids(label, Path("000000000139.png")).tolist() == [[0, 10, 11, 79, 80, 170, 255]]


def test_coco_stuff_train_ids_stay() -> None:
    label = np.array([[0, 11, 170, 255]], np.uint8)
    path = Path("000000000139_labelTrainIds.png")
    assert datasets.COCO_STUFF.train_ids(label, path).tolist() == label.tolist()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_ids_beyond_the_data_set_are_named(dtype: type) -> None:
    label: npt.NDArray[np.unsignedinteger] = np.array([[0, 12, 37]], dtype)
    with pytest.raises(
        ImageError, match=r"x.png: holds ids 12, 37, but expected 0..10 for 11 classes, or 11, 255 to ignore"
    ):
        datasets.CAMVID.train_ids(label, Path("x.png"))


@given(st.sampled_from(list(datasets.DATASETS.values())))
def test_every_convention_reaches_every_class_exactly_once(dataset: datasets.Dataset) -> None:
    for kind in dataset.labels:
        label = np.array([kind.ids], np.uint8)
        assert kind.train_ids(label)[0].tolist() == list(range(dataset.num_classes))
        assert (kind.train_ids(np.array([kind.ignored], np.uint8)) == datasets.IGNORE).all()


def test_pictures_find_their_labels_in_the_same_subfolder(tmp_path: Path) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    touch(images / "a" / "1.jpg", images / "b" / "1.JPG", labels / "a" / "1.png", labels / "b" / "1.png")
    found = datasets.pairs(datasets.ADE20K, images, labels)
    assert found == [(images / "a" / "1.jpg", labels / "a" / "1.png"), (images / "b" / "1.JPG", labels / "b" / "1.png")]


def test_cityscapes_names_match_without_their_suffixes_and_train_ids_are_preferred(tmp_path: Path) -> None:
    images, labels = tmp_path / "leftImg8bit", tmp_path / "gtFine"
    touch(images / "ulm" / "ulm_0_leftImg8bit.png", images / "ulm" / "ulm_1_leftImg8bit.png")
    for kind in ("labelIds.png", "color.png", "instanceIds.png", "polygons.json"):
        touch(labels / "ulm" / f"ulm_0_gtFine_{kind}", labels / "ulm" / f"ulm_1_gtFine_{kind}")
    touch(labels / "ulm" / "ulm_1_gtFine_labelTrainIds.png")
    found = [label.name for _, label in datasets.pairs(datasets.CITYSCAPES, images, labels)]
    assert found == ["ulm_0_gtFine_labelIds.png", "ulm_1_gtFine_labelTrainIds.png"]


def test_coco_stuff_folders_may_hold_both_kinds_of_labels(tmp_path: Path) -> None:
    touch(*(tmp_path / "images" / f"{n}.jpg" for n in (1, 2)), *(tmp_path / "labels" / f"{n}.png" for n in (1, 2)))
    touch(tmp_path / "labels" / "2_labelTrainIds.png")
    found = datasets.pairs(datasets.COCO_STUFF, tmp_path / "images", tmp_path / "labels")
    assert [label.name for _, label in found] == ["1.png", "2_labelTrainIds.png"]


def test_pictures_without_labels_and_labels_without_pictures_are_counted_and_named(tmp_path: Path) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    touch(*(images / f"{n}.jpg" for n in range(5)), labels / "4.png", labels / "9.png")
    with pytest.raises(ImageError) as caught:
        datasets.pairs(datasets.CAMVID, images, labels)
    assert "4 pictures without a label (0.jpg, 1.jpg, 2.jpg, ...) and 1 label without a picture (9.png)" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        ("missing", "labels", "there is no such folder of pictures"),
        ("images", "missing", "there is no such folder of labels"),
        ("empty", "labels", "holds no pictures"),
        ("images", "empty", "holds no labels"),
        ("images", "images", "both are this one"),
        ("twins", "labels", "rename one of the two"),
    ],
)
def test_folders_that_cannot_be_paired_are_one_clear_line(
    tmp_path: Path, images: str, labels: str, message: str
) -> None:
    touch(tmp_path / "images" / "a.jpg", tmp_path / "labels" / "a.png", tmp_path / "twins" / "a.jpg")
    touch(tmp_path / "twins" / "a.png", tmp_path / "empty" / "note.txt")
    with pytest.raises(ImageError, match=message) as caught:
        datasets.pairs(datasets.CAMVID, tmp_path / images, tmp_path / labels)
    assert "\n" not in str(caught.value)


def test_a_folder_with_labels_of_another_data_set_says_what_was_expected(tmp_path: Path) -> None:
    touch(tmp_path / "images" / "a.png", tmp_path / "labels" / "a.png")
    with pytest.raises(
        ImageError, match=r"holds no label of Cityscapes; expected names like NAME_gtFine_labelTrainIds.png"
    ):
        datasets.pairs(datasets.CITYSCAPES, tmp_path / "images", tmp_path / "labels")


def test_the_shared_camvid_folder_pairs_up() -> None:
    folder = SHARED / "data" / "camvid" / "val"
    if not folder.exists():
        pytest.skip("the shared data are not here")
    found = datasets.pairs(datasets.CAMVID, folder / "images", folder / "labels")
    assert len(found) == 101
    label = cv2.imread(str(found[0][1]), cv2.IMREAD_UNCHANGED)
    assert label is not None
    assert (datasets.CAMVID.train_ids(label.astype(np.uint8)) == label).all()


def test_importing_the_data_sets_loads_nothing_heavy() -> None:
    code = "import sys, afformer.datasets; print([m for m in ('cv2', 'torch', 'onnx') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_hidden_files_and_folders_hold_neither_pictures_nor_labels(tmp_path: Path) -> None:
    images, labels = tmp_path / ".data" / "images", tmp_path / ".data" / "labels"
    touch(images / "1.jpg", images / ".ipynb_checkpoints" / "1-checkpoint.jpg", images / "._1.jpg", labels / "1.png")
    assert datasets.pairs(datasets.CAMVID, images, labels) == [(images / "1.jpg", labels / "1.png")]


def test_camvids_own_labels_end_in_l(tmp_path: Path) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    touch(images / "1.png", images / "2_L.png", labels / "1_L.png", labels / "2_L.png")
    found = datasets.pairs(datasets.CAMVID, images, labels)
    assert found == [(images / "1.png", labels / "1_L.png"), (images / "2_L.png", labels / "2_L.png")]
