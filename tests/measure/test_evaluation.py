"""Evaluation over real files, with segmenters that are known to be right or wrong."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from afformer import datasets
from afformer.errors import ImageError
from afformer.images import read_label
from afformer.measure.evaluation import evaluate_segmenter
from afformer.measure.results import Evaluation
from afformer.runtime import Segmenter
from tests.builders.fake_backend import FakeBackend
from tests.builders.segmenters import THREE, always_road, by_red
from tests.builders.tiny_onnx import SPEC


def test_a_perfect_segmenter_scores_one_and_absent_classes_are_left_out(pairs: list[tuple[Path, Path]]) -> None:
    found = evaluate_segmenter(by_red, pairs, THREE)
    assert found.miou == found.pixel_accuracy == 1.0
    assert found.per_class_iou["road"] == found.per_class_iou["car"] == 1.0
    assert np.isnan(found.per_class_iou["sky"])
    assert (found.pictures, found.failures) == (2, ())


def test_scores_are_taken_over_all_pixels_of_all_pictures(pairs: list[tuple[Path, Path]]) -> None:
    found = evaluate_segmenter(always_road, pairs, THREE)
    assert found.per_class_iou["road"] == 12 / 15
    assert found.per_class_iou["car"] == 0.0
    assert found.miou == pytest.approx(0.4)
    assert found.pixel_accuracy == 12 / 15


def test_one_unreadable_picture_is_reported_and_the_rest_counted(pairs: list[tuple[Path, Path]]) -> None:
    pairs[0][0].write_bytes(b"no picture")
    found = evaluate_segmenter(by_red, pairs, THREE)
    assert (found.pictures, found.pixel_accuracy) == (1, 1.0)
    assert [failure.picture for failure in found.failures] == [pairs[0][0]]
    assert str(pairs[0][0]) in found.failures[0].reason


def test_a_label_of_another_size_and_a_label_of_another_data_set_are_reported(pairs: list[tuple[Path, Path]]) -> None:
    cv2.imwrite(str(pairs[0][1]), np.zeros((3, 3), np.uint8))
    cv2.imwrite(str(pairs[1][1]), np.full((2, 4), 7, np.uint8))
    reasons = [failure.reason for failure in evaluate_segmenter(by_red, pairs, THREE).failures]
    assert "is 3x3, but its picture" in reasons[0]
    assert "is 4x2" in reasons[0]
    assert "holds the id 7" in reasons[1]


def test_nothing_readable_gives_no_scores_and_no_crash(tmp_path: Path) -> None:
    found = evaluate_segmenter(by_red, [(tmp_path / "a.png", tmp_path / "b.png")], THREE)
    assert found.pictures == 0
    assert np.isnan(found.miou)
    assert found.to_json()["miou"] is None


def test_more_classes_than_labels_can_hold_are_refused(pairs: list[tuple[Path, Path]]) -> None:
    with pytest.raises(ImageError, match="at most 255 classes"):
        evaluate_segmenter(by_red, pairs, datasets.generic(300))


def test_labels_follow_the_data_sets_convention(tmp_path: Path) -> None:
    label = tmp_path / "a_gtFine_labelIds.png"
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((1, 2, 3), np.uint8))
    cv2.imwrite(str(label), np.array([[7, 3]], np.uint8))  # road, and something ignored
    found = evaluate_segmenter(always_road, [(tmp_path / "a.png", label)], datasets.CITYSCAPES)
    assert (found.miou, found.pixel_accuracy) == (1.0, 1.0)


def test_progress_counts_the_pictures(pairs: list[tuple[Path, Path]]) -> None:
    pairs[1][0].unlink()
    told: list[tuple[str, int, int]] = []
    evaluate_segmenter(by_red, pairs, THREE, lambda *what: told.append(what))
    assert told == [("pictures", 0, 2), ("pictures", 1, 2), ("pictures", 2, 2)]


def test_results_are_plain_json(pairs: list[tuple[Path, Path]]) -> None:
    pairs[1][0].unlink()
    text = json.dumps(evaluate_segmenter(by_red, pairs, THREE).to_json(), allow_nan=False)
    assert json.loads(text)["per_class_iou"] == {"road": 1.0, "car": 1.0, "sky": None}
    assert json.loads(text)["failures"][0]["picture"] == str(pairs[1][0])


def test_the_table_lines_up() -> None:
    table = Evaluation(0.5, {"road": 1.0, "traffic light": float("nan")}, 0.905, 101).to_table()
    assert table.splitlines() == [
        "class           IoU %",
        "---------------------",
        "road            100.0",
        "traffic light       -",
        "---------------------",
        "mIoU             50.0",
        "pixel accuracy   90.5",
        "pictures          101",
    ]


def test_a_model_with_a_batch_is_given_as_many_pictures_at_a_time_and_scores_the_same(
    greys: list[tuple[Path, Path]],
) -> None:
    single, batched = FakeBackend(SPEC), FakeBackend(dataclasses.replace(SPEC, batch=4))
    classes = datasets.custom(SPEC.classes, SPEC.palette)
    one, four = (evaluate_segmenter(Segmenter(backend), greys, classes) for backend in (single, batched))
    assert one == four
    assert 0.2 < one.miou < 1
    assert (len(single.calls), len(batched.calls)) == (9, 3)


def shift(pairs: list[tuple[Path, Path]], by: int) -> None:
    for _, label in pairs:
        truth = read_label(label)
        cv2.imwrite(str(label), np.where(truth == 255, 255, truth + by).astype(np.uint8))


def test_a_score_that_looks_shifted_says_what_would_be_far_higher(pairs: list[tuple[Path, Path]]) -> None:
    shift(pairs, 1)
    found = evaluate_segmenter(by_red, pairs, THREE)
    assert found.miou < 0.1
    assert found.notes == (
        "The ids of the labels look shifted: mIoU is 0.0, but would be 100.0 with `label_offset=-1`.",
    )
    right = evaluate_segmenter(by_red, pairs, datasets.LabelOptions(offset=-1).applied(THREE))
    assert (right.miou, right.notes) == (1.0, ())


def test_a_score_that_another_offset_would_not_raise_has_no_note(pairs: list[tuple[Path, Path]]) -> None:
    assert evaluate_segmenter(by_red, pairs, THREE).notes == ()
    assert evaluate_segmenter(always_road, pairs, THREE).notes == ()


def test_labels_that_are_ignored_as_a_whole_are_counted_and_all_of_them_refused(
    pairs: list[tuple[Path, Path]],
) -> None:
    cv2.imwrite(str(pairs[0][1]), np.full((2, 4), 255, np.uint8))
    assert evaluate_segmenter(by_red, pairs, THREE).notes == ("1 of 2 labels was ignored as a whole.",)
    cv2.imwrite(str(pairs[1][1]), np.full((2, 4), 255, np.uint8))
    with pytest.raises(ImageError, match="not one pixel of 2 labels has a class"):
        evaluate_segmenter(by_red, pairs, THREE)


def test_masks_of_0_and_255_are_measured_and_told(pairs: list[tuple[Path, Path]]) -> None:
    two = datasets.custom(THREE.classes[:2], THREE.palette[:2])
    for _, label in pairs:
        cv2.imwrite(str(label), np.where(read_label(label) == 1, 255, 0).astype(np.uint8))
    found = evaluate_segmenter(lambda image: (image[:, :, 0] == 50).astype(np.uint8), pairs, two)
    assert found.miou == 1.0
    assert found.notes == ("The labels hold 0 and 255 alone: 255 was read as class 1, car.",)


def test_labels_in_colours_are_measured_and_told(pairs: list[tuple[Path, Path]]) -> None:
    table = np.zeros((256, 3), np.uint8)
    table[:3] = THREE.palette
    for _, label in pairs:
        cv2.imwrite(str(label), table[read_label(label)][:, :, ::-1])
    found = evaluate_segmenter(by_red, pairs, THREE)
    assert found.miou == 1.0
    assert found.notes == ("2 of 2 labels were read by colours, through the palette.",)


def test_labels_on_the_stored_pixels_of_turned_pictures_are_told(pairs: list[tuple[Path, Path]]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    picture, label = pairs[0]
    stored = Image.open(picture).convert("RGB").rotate(180)
    stored.save(picture, exif=exif)  # shown as before
    assert evaluate_segmenter(by_red, pairs, THREE).notes == ()
    truth = read_label(label)
    assert (truth != truth[::-1, ::-1]).any()
    cv2.imwrite(str(label), truth[::-1, ::-1])
    (note,) = evaluate_segmenter(by_red, pairs, THREE).notes
    assert note.startswith("EXIF turns 1 picture, and the labels seem to be drawn on what is stored")
    assert "would be 100.0 with the labels turned" in note
