"""Evaluation over real files, with segmenters that are known to be right or wrong."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pytest

from afformer import datasets
from afformer.errors import ImageError
from afformer.images import ClassMap, RGBImage
from afformer.measure.evaluation import Evaluation, compare, evaluate
from afformer.runtime import Segmenter
from tests.builders.fake_backend import FakeBackend
from tests.builders.tiny_onnx import SPEC
from tests.builders.videos import by_brightness, street

T = TypeVar("T")

THREE = datasets.custom(("road", "car", "sky"), ((128, 64, 128), (0, 0, 142), (70, 130, 180)))


def by_red(image: RGBImage) -> ClassMap:
    """A segmenter for pictures whose red channel is the class id times 50."""
    return (image[:, :, 0] // 50).astype(np.uint8)


def always_road(image: RGBImage) -> ClassMap:
    return np.zeros(image.shape[:2], np.uint8)


@pytest.fixture
def pairs(tmp_path: Path) -> list[tuple[Path, Path]]:
    """Two pictures of 4x2 pixels: one half road and half car, one all road; sky occurs nowhere."""
    truths = [np.array([[0, 0, 1, 1], [0, 0, 1, 255]], np.uint8), np.zeros((2, 4), np.uint8)]
    found = []
    for index, truth in enumerate(truths):
        picture, label = tmp_path / f"{index}.png", tmp_path / f"{index}_label.png"
        red = np.where(truth == 255, 100, truth * 50).astype(np.uint8)
        cv2.imwrite(str(picture), np.dstack([red * 0, red * 0, red]))
        cv2.imwrite(str(label), truth)
        found.append((picture, label))
    return found


def test_a_perfect_segmenter_scores_one_and_absent_classes_are_left_out(pairs: list[tuple[Path, Path]]) -> None:
    found = evaluate(by_red, pairs, THREE)
    assert found.miou == found.pixel_accuracy == 1.0
    assert found.per_class_iou["road"] == found.per_class_iou["car"] == 1.0
    assert np.isnan(found.per_class_iou["sky"])
    assert (found.pictures, found.failures) == (2, ())


def test_scores_are_taken_over_all_pixels_of_all_pictures(pairs: list[tuple[Path, Path]]) -> None:
    found = evaluate(always_road, pairs, THREE)
    assert found.per_class_iou["road"] == 12 / 15
    assert found.per_class_iou["car"] == 0.0
    assert found.miou == pytest.approx(0.4)
    assert found.pixel_accuracy == 12 / 15


def test_one_unreadable_picture_is_reported_and_the_rest_counted(pairs: list[tuple[Path, Path]]) -> None:
    pairs[0][0].write_bytes(b"no picture")
    found = evaluate(by_red, pairs, THREE)
    assert (found.pictures, found.pixel_accuracy) == (1, 1.0)
    assert [failure.picture for failure in found.failures] == [pairs[0][0]]
    assert str(pairs[0][0]) in found.failures[0].reason


def test_a_label_of_another_size_and_a_label_of_another_data_set_are_reported(pairs: list[tuple[Path, Path]]) -> None:
    cv2.imwrite(str(pairs[0][1]), np.zeros((3, 3), np.uint8))
    cv2.imwrite(str(pairs[1][1]), np.full((2, 4), 7, np.uint8))
    reasons = [failure.reason for failure in evaluate(by_red, pairs, THREE).failures]
    assert "is 3x3, but its picture" in reasons[0]
    assert "is 4x2" in reasons[0]
    assert "holds the id 7" in reasons[1]


def test_nothing_readable_gives_no_scores_and_no_crash(tmp_path: Path) -> None:
    found = evaluate(by_red, [(tmp_path / "a.png", tmp_path / "b.png")], THREE)
    assert found.pictures == 0
    assert np.isnan(found.miou)
    assert found.to_json()["miou"] is None


def test_more_classes_than_labels_can_hold_are_refused(pairs: list[tuple[Path, Path]]) -> None:
    with pytest.raises(ImageError, match="at most 255 classes"):
        evaluate(by_red, pairs, datasets.generic(300))


def test_labels_follow_the_data_sets_convention(tmp_path: Path) -> None:
    label = tmp_path / "a_gtFine_labelIds.png"
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((1, 2, 3), np.uint8))
    cv2.imwrite(str(label), np.array([[7, 3]], np.uint8))  # road, and something ignored
    found = evaluate(always_road, [(tmp_path / "a.png", label)], datasets.CITYSCAPES)
    assert (found.miou, found.pixel_accuracy) == (1.0, 1.0)


def test_progress_sees_every_pair(pairs: list[tuple[Path, Path]]) -> None:
    seen: list[object] = []

    def progress(items: Sequence[T], /) -> Iterable[T]:
        for item in items:
            seen.append(item)
            yield item

    evaluate(by_red, pairs, THREE, progress)
    assert seen == pairs


def test_results_are_plain_json(pairs: list[tuple[Path, Path]]) -> None:
    pairs[1][0].unlink()
    text = json.dumps(evaluate(by_red, pairs, THREE).to_json(), allow_nan=False)
    assert json.loads(text)["per_class_iou"] == {"road": 1.0, "car": 1.0, "sky": None}
    assert json.loads(text)["failures"][0]["picture"] == str(pairs[1][0])
    compared = compare(by_red, by_red, [pairs[0][0]], THREE.classes)
    assert json.loads(json.dumps(compared.to_json(), allow_nan=False))["pixel_agreement"] == 1.0


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


def test_two_segmenters_are_compared_pixel_by_pixel(pairs: list[tuple[Path, Path]]) -> None:
    found = compare(by_red, always_road, [picture for picture, _ in pairs], THREE.classes)
    assert found.pixel_agreement == 12 / 16
    assert (found.worst_picture, found.worst_agreement) == (pairs[0][0], 0.5)
    assert found.per_class_iou == {"road": 12 / 16, "car": 0.0, "sky": 0.0}
    assert found.pictures == 2
    assert "75.000" in found.to_table()
    assert "50.000 (0.png)" in found.to_table()


def test_a_segmenter_agrees_with_itself_even_if_it_reuses_its_buffer(pairs: list[tuple[Path, Path]]) -> None:
    buffer = np.zeros((2, 4), np.uint8)
    calls = iter(range(10))

    def reusing(image: RGBImage) -> ClassMap:
        buffer[:] = next(calls) % 2
        return buffer

    assert compare(reusing, reusing, [pairs[0][0]], THREE.classes).pixel_agreement == 0.0


def test_comparing_goes_on_after_an_unreadable_picture(pairs: list[tuple[Path, Path]]) -> None:
    pairs[0][0].write_bytes(b"")
    found = compare(by_red, by_red, [picture for picture, _ in pairs], THREE.classes)
    assert (found.pixel_agreement, found.pictures, len(found.failures)) == (1.0, 1, 1)


def test_comparing_on_nothing_readable_gives_no_scores(tmp_path: Path) -> None:
    found = compare(by_red, by_red, [tmp_path / "missing.png"], THREE.classes)
    assert found.to_json()["pixel_agreement"] is None
    assert found.to_json()["worst_picture"] is None
    assert "-" in found.to_table()


def test_a_model_with_a_batch_is_given_as_many_pictures_at_a_time_and_scores_the_same(tmp_path: Path) -> None:
    pairs = [(tmp_path / f"{i}.png", tmp_path / f"{i}_label.png") for i in range(10)]
    for (picture, label), image in zip(pairs, street(10), strict=True):
        cv2.imwrite(str(picture), image)
        cv2.imwrite(str(label), by_brightness(image))
    pairs[4][0].write_bytes(b"broken")
    single, batched = FakeBackend(SPEC), FakeBackend(dataclasses.replace(SPEC, batch=4))
    greys = datasets.custom(SPEC.classes, SPEC.palette)
    one, four = (evaluate(Segmenter(backend), pairs, greys) for backend in (single, batched))
    assert one == four
    assert 0.2 < one.miou < 1
    assert (len(single.calls), len(batched.calls)) == (9, 3)
    pictures = [picture for picture, _ in pairs]
    assert compare(Segmenter(single), Segmenter(batched), pictures, SPEC.classes).pixel_agreement == 1
    assert (len(single.calls), len(batched.calls)) == (18, 6)
    mixed = compare(by_brightness, Segmenter(batched), pictures, SPEC.classes)
    assert mixed.miou == pytest.approx(one.miou)
    assert (mixed.pictures, len(mixed.failures)) == (9, 1)
