from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from afformer import datasets
from afformer.errors import ImageError
from afformer.images import ClassMap, RGBImage, read_image
from afformer.quantize.accuracy import Evaluator, Validation, usable
from tests.builders.small_onnx import write_pictures

LABELLED = datasets.custom(("dark", "light"), ((0, 0, 0), (255, 255, 255)))


def bright(image: RGBImage) -> ClassMap:
    return (image[:, :, 1] > 127).astype(np.uint8)


def shifted(image: RGBImage) -> ClassMap:
    """Wrong in one of 96 columns, more or less."""
    return np.roll(bright(image), 1, axis=1)


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, ...]:
    return tuple(write_pictures(tmp_path / "images", 3))


@pytest.fixture
def labelled(tmp_path: Path, pictures: tuple[Path, ...]) -> Validation:
    (tmp_path / "labels").mkdir()
    labels = tuple(tmp_path / "labels" / path.name for path in pictures)
    for path, label in zip(pictures, labels, strict=True):
        truth = bright(read_image(path))
        truth[:, :10] = 255
        truth[:5] = 1 - truth[:5].clip(0, 1)
        cv2.imwrite(str(label), truth)
    return Validation(pictures, labels, LABELLED)


def test_the_float_model_agrees_with_itself(pictures: tuple[Path, ...]) -> None:
    evaluator = Evaluator(Validation(pictures), bright, 2)
    assert evaluator.reference.agreement == 1
    assert evaluator.drop(evaluator.reference) == 0
    assert evaluator.measure(bright) == evaluator.reference


def test_without_labels_the_drop_is_the_share_of_pixels_that_differ(pictures: tuple[Path, ...]) -> None:
    evaluator = Evaluator(Validation(pictures), bright, 2)
    found = evaluator.measure(shifted)
    differing = np.mean([(bright(image) != shifted(image)).mean() for image in map(read_image, pictures)])
    assert found.agreement == pytest.approx(1 - differing)
    assert evaluator.drop(found) == pytest.approx(100 * differing)
    assert found.miou is None


def test_the_worst_picture_is_named(pictures: tuple[Path, ...]) -> None:
    maps = [np.zeros((64, 96), np.uint8) for _ in pictures]
    maps[1][:, :48] = 1
    answers = iter(maps)
    found = Evaluator(Validation(pictures), lambda image: np.zeros((64, 96), np.uint8), 2).measure(
        lambda image: next(answers)
    )
    assert (found.worst_picture, found.worst_agreement) == (pictures[1], 0.5)


def test_with_labels_the_drop_is_in_points_of_miou(labelled: Validation) -> None:
    evaluator = Evaluator(labelled, bright, 2)
    found = evaluator.measure(shifted)
    assert evaluator.reference.miou is not None
    assert found.miou is not None
    assert evaluator.drop(found) == pytest.approx(100 * (evaluator.reference.miou - found.miou))
    assert 0.8 < evaluator.reference.miou < 1


def test_a_candidate_that_is_better_than_float_has_a_drop_below_zero(labelled: Validation) -> None:
    evaluator = Evaluator(labelled, shifted, 2)
    assert evaluator.drop(evaluator.measure(bright)) < 0


def test_classes_that_do_not_occur_have_no_iou(pictures: tuple[Path, ...]) -> None:
    found = Evaluator(Validation(pictures), bright, 3).reference
    assert found.per_class_iou[:2] == (1, 1)
    assert math.isnan(found.per_class_iou[2])


def test_the_reference_keeps_its_own_copy_of_a_reused_buffer(pictures: tuple[Path, ...]) -> None:
    buffer = np.zeros((64, 96), np.uint8)

    def reusing(image: RGBImage) -> ClassMap:
        buffer[:] = bright(image)
        return buffer

    evaluator = Evaluator(Validation(pictures), reusing, 2)
    assert evaluator.measure(bright).agreement == 1


def test_a_label_of_another_size_is_named(labelled: Validation) -> None:
    cv2.imwrite(str(labelled.labels[1]), np.zeros((10, 20), np.uint8))
    with pytest.raises(ImageError, match=r"001.png: is 20x10, but its picture .* is 96x64"):
        Evaluator(labelled, bright, 2)


def test_pictures_and_labels_must_come_in_pairs_and_with_a_data_set(pictures: tuple[Path, ...]) -> None:
    with pytest.raises(ImageError, match="3 pictures came with 2 labels"):
        Validation(pictures, pictures[:2], LABELLED)
    with pytest.raises(ImageError, match="data set"):
        Validation(pictures, pictures)
    with pytest.raises(ImageError, match="no pictures"):
        Validation(())


def test_pictures_and_labels_that_cannot_be_used_are_left_out_together(labelled: Validation) -> None:
    labelled.pictures[0].write_bytes(b"broken")
    labelled.labels[1].write_bytes(b"broken")
    found, failures = usable(labelled)
    assert (found.pictures, found.labels) == (labelled.pictures[2:], labelled.labels[2:])
    assert [failure.picture for failure in failures] == list(labelled.pictures[:2])
    labelled.pictures[2].unlink()
    with pytest.raises(ImageError, match="none of 3 validation pictures can be used"):
        usable(labelled)


def test_pictures_without_labels_that_cannot_be_used_are_left_out(pictures: tuple[Path, ...]) -> None:
    pictures[0].write_bytes(b"broken")
    found, failures = usable(Validation(pictures))
    assert (found.pictures, found.labels) == (pictures[1:], ())
    assert [failure.picture for failure in failures] == [pictures[0]]


def test_labels_that_look_shifted_are_told(labelled: Validation) -> None:
    three = datasets.custom(("dark", "light", "none"), ((0, 0, 0), (255, 255, 255), (9, 9, 9)))
    for picture, label in zip(labelled.pictures, labelled.labels, strict=True):
        cv2.imwrite(str(label), bright(read_image(picture)) + 1)
    notes = Evaluator(Validation(labelled.pictures, labelled.labels, three), bright, 3).label_notes
    assert any("look shifted" in note and "with `label_offset=-1`" in note for note in notes)


def test_labels_that_are_ignored_as_a_whole_are_refused(labelled: Validation) -> None:
    for label in labelled.labels:
        cv2.imwrite(str(label), np.full_like(cv2.imread(str(label), cv2.IMREAD_UNCHANGED), 255))
    with pytest.raises(ImageError, match="not one pixel of 3 labels has a class"):
        Evaluator(labelled, bright, 2)
