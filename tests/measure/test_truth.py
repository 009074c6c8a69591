"""Label files of every kind that is around, and what they say."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from afformer import datasets
from afformer.errors import ImageError
from afformer.images import write_mask
from afformer.measure.truth import read_labelled, read_labelled_truth, read_truth, settled

CAMVID = datasets.CAMVID
TRUTH = np.array([[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 255]], np.uint8)
TWO = datasets.custom(("background", "road"), ((10, 20, 30), (200, 100, 50)))


def in_colours(classes: npt.NDArray[np.uint8], dataset: datasets.Dataset = CAMVID) -> npt.NDArray[np.uint8]:
    table = np.zeros((256, 3), np.uint8)
    table[: dataset.num_classes] = dataset.palette
    return table[classes]


def indexed(path: Path, ids: npt.NDArray[np.uint8], palette: list[tuple[int, int, int]]) -> Path:
    image = Image.fromarray(ids)
    image.putpalette([value for colour in palette for value in colour])
    image.save(path)
    return path


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L"])
def test_equal_channels_and_alpha_are_read_as_ids(tmp_path: Path, mode: str) -> None:
    Image.fromarray(TRUTH).convert(mode).save(tmp_path / "a.png")
    truth = read_truth(CAMVID, tmp_path / "a.png")
    assert truth.classes.tolist() == TRUTH.tolist()
    assert not truth.by_colours


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_a_coloured_label_is_read_through_the_palette_and_black_is_ignored(tmp_path: Path, name: str) -> None:
    Image.fromarray(in_colours(TRUTH)).save(tmp_path / name)
    truth = read_truth(CAMVID, tmp_path / name)
    assert truth.classes.tolist() == TRUTH.tolist()
    assert truth.by_colours


def test_a_coloured_label_with_alpha_is_read_alike(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([in_colours(TRUTH), np.full(TRUTH.shape, 255, np.uint8)])).save(tmp_path / "a.png")
    assert read_truth(CAMVID, tmp_path / "a.png").classes.tolist() == TRUTH.tolist()


def test_a_coloured_label_that_is_grey_throughout_is_not_taken_for_ids(tmp_path: Path) -> None:
    Image.fromarray(in_colours(np.array([[0, 0, 255]], np.uint8))).save(tmp_path / "a.png")  # sky is 128, 128, 128
    assert read_truth(CAMVID, tmp_path / "a.png").classes.tolist() == [[0, 0, 255]]


def test_colours_of_no_class_are_named(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[128, 64, 128], [1, 2, 3]]], np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(
        ImageError, match=r"a.png: stores colours, and #010203 does not mean exactly one class of CamVid"
    ):
        read_truth(CAMVID, tmp_path / "a.png")


def test_camvids_own_files_join_32_classes_to_11(tmp_path: Path) -> None:
    """Wall, sidewalk, bus, child, motorcycle, traffic light, marking, void."""
    colours = [(64, 192, 0), (0, 0, 192), (192, 128, 192), (192, 128, 64), (192, 0, 192), (0, 64, 64), (128, 0, 192)]
    Image.fromarray(np.array([[*colours, (0, 0, 0)]], np.uint8)).save(tmp_path / "0001TP_L.png")
    assert read_truth(CAMVID, tmp_path / "0001TP_L.png").classes.tolist() == [[1, 4, 8, 9, 10, 6, 3, 255]]


def test_camvids_own_file_that_is_all_void_is_ignored_and_not_sky(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / "a_L.png")
    assert (read_truth(CAMVID, tmp_path / "a_L.png").classes == 255).all()


def test_indices_in_another_order_are_told_by_their_colours(tmp_path: Path) -> None:
    order = [3, 8, 0, 1, 2, 4, 5, 6, 7, 9, 10]
    path = indexed(tmp_path / "a.png", np.array([[0, 1, 2]], np.uint8), [CAMVID.palette[i] for i in order])
    assert read_truth(CAMVID, path).classes.tolist() == [[3, 8, 0]]


def test_an_index_in_a_colour_of_no_class_leaves_the_ids_as_they_are(tmp_path: Path) -> None:
    palette = [CAMVID.palette[3], CAMVID.palette[8], *[(1, 2, 3)] * 14]
    path = indexed(tmp_path / "a.png", np.array([[1, 0, 11]], np.uint8), palette)
    assert read_truth(CAMVID, path).classes.tolist() == [[1, 0, 255]]


def test_a_palette_of_the_used_colours_alone_tells_as_well(tmp_path: Path) -> None:
    path = indexed(
        tmp_path / "a.png", np.array([[0, 1, 2]], np.uint8), [(0, 0, 0), CAMVID.palette[8], CAMVID.palette[5]]
    )
    assert read_truth(CAMVID, path).classes.tolist() == [[255, 8, 5]]


def test_a_palette_of_another_data_set_does_not_tell(tmp_path: Path) -> None:
    """PASCAL's colours of 1 and 3 are those of Building and Tree, 1 and 5."""
    pascal = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128)]
    path = indexed(tmp_path / "a.png", np.array([[0, 1, 3]], np.uint8), pascal)
    assert read_truth(CAMVID, path).classes.tolist() == [[0, 1, 3]]


def test_a_mask_of_our_own_is_read_back_where_labels_count_from_one(tmp_path: Path) -> None:
    classes = np.array([[0, 7, 149]], np.uint8)
    write_mask(tmp_path / "a.png", classes, datasets.ADE20K.palette)
    assert read_truth(datasets.ADE20K, tmp_path / "a.png").classes.tolist() == classes.tolist()


def test_masks_of_0_and_255_have_two_classes(tmp_path: Path) -> None:
    masks = [tmp_path / "a.png", tmp_path / "b.png"]
    for mask, pixels in zip(masks, ([[0, 0]], [[0, 255]]), strict=True):
        cv2.imwrite(str(mask), np.array(pixels, np.uint8))
    assert read_truth(settled(TWO, masks), masks[1]).classes.tolist() == [[0, 1]]


def test_255_stays_ignored_where_any_label_holds_a_1(tmp_path: Path) -> None:
    masks = [tmp_path / "a.png", tmp_path / "b.png"]
    for mask, pixels in zip(masks, ([[0, 255]], [[0, 1]]), strict=True):
        cv2.imwrite(str(mask), np.array(pixels, np.uint8))
    assert read_truth(settled(TWO, masks), masks[0]).classes.tolist() == [[0, 255]]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_label_drawn_on_the_stored_pixels_turns_with_its_picture(tmp_path: Path, orientation: int) -> None:
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3)
    picture, label = tmp_path / "a.png", tmp_path / "a_label.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.dstack([stored * 40] * 3)).save(picture, exif=exif)
    cv2.imwrite(str(label), stored)
    image, truth = read_labelled(CAMVID, picture, label)
    assert image.shape[:2] == (3, 2)
    assert (truth * 40).tolist() == image[:, :, 0].tolist()


def turned(
    folder: Path, orientation: int, size: tuple[int, int] = (2, 3), label_exif: bool = False
) -> tuple[Path, Path]:
    """A picture that EXIF turns, and a label that was drawn on its stored pixels."""
    stored = np.arange(size[0] * size[1], dtype=np.uint8).reshape(size)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.dstack([stored * 20] * 3)).save(folder / "a.png", exif=exif)
    Image.fromarray(stored).save(folder / "a_label.png", exif=exif if label_exif else None)
    return folder / "a.png", folder / "a_label.png"


@pytest.mark.parametrize("kind", ["ids", "colours", "tiff"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_label_whose_own_exif_turns_it_is_turned_once(tmp_path: Path, orientation: int, kind: str) -> None:
    picture, label = turned(tmp_path, orientation, label_exif=True)
    with Image.open(label) as opened:
        stored, exif = np.array(opened), opened.getexif()
    if kind == "colours":
        Image.fromarray(in_colours(stored)).save(label, exif=exif)
    if kind == "tiff":
        label = label.with_suffix(".tif")
        Image.fromarray(stored).save(label, tiffinfo={0x0112: orientation})
    image, truth = read_labelled_truth(CAMVID, picture, label)
    assert (truth.classes * 20).tolist() == image[:, :, 0].tolist()
    assert truth.if_turned is None


@pytest.mark.parametrize(("orientation", "size"), [(2, (2, 3)), (3, (2, 3)), (4, (2, 3)), (5, (3, 3)), (6, (3, 3))])
def test_where_the_size_does_not_tell_the_label_stays_and_the_turned_one_is_kept_beside_it(
    tmp_path: Path, orientation: int, size: tuple[int, int]
) -> None:
    picture, label = turned(tmp_path, orientation, size)
    image, truth = read_labelled_truth(CAMVID, picture, label)
    assert truth.classes.tolist() == np.arange(size[0] * size[1]).reshape(size).tolist()
    assert truth.if_turned is not None
    assert (truth.if_turned * 20).tolist() == image[:, :, 0].tolist()


@pytest.mark.parametrize("kind", [np.int32, np.float32, np.int16])
def test_ids_in_wider_numbers_than_they_need_are_read(tmp_path: Path, kind: type) -> None:
    cv2.imwrite(str(tmp_path / "a.tif"), TRUTH.astype(kind))
    assert read_truth(CAMVID, tmp_path / "a.tif").classes.tolist() == TRUTH.tolist()


@pytest.mark.parametrize("wrong", [0.5, -1, 70_000, np.nan])
def test_numbers_that_are_no_ids_are_refused(tmp_path: Path, wrong: float) -> None:
    cv2.imwrite(str(tmp_path / "a.tif"), np.array([[1, wrong]], np.float32))
    with pytest.raises(ImageError, match="expected class ids, which are whole numbers from 0 to 65535"):
        read_truth(CAMVID, tmp_path / "a.tif")
