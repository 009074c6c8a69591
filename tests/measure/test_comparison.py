"""Comparison over real files, with segmenters that are known to be right or wrong."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from afformer.images import ClassMap, RGBImage
from afformer.measure.comparison import compare_segmenters
from afformer.runtime import Segmenter
from tests.builders.fake_backend import FakeBackend
from tests.builders.segmenters import THREE, always_road, by_red
from tests.builders.tiny_onnx import SPEC
from tests.builders.videos import by_brightness


def test_two_segmenters_are_compared_pixel_by_pixel(pairs: list[tuple[Path, Path]]) -> None:
    found = compare_segmenters(by_red, always_road, [picture for picture, _ in pairs], THREE.classes)
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

    assert compare_segmenters(reusing, reusing, [pairs[0][0]], THREE.classes).pixel_agreement == 0.0


def test_comparing_goes_on_after_an_unreadable_picture(pairs: list[tuple[Path, Path]]) -> None:
    pairs[0][0].write_bytes(b"")
    found = compare_segmenters(by_red, by_red, [picture for picture, _ in pairs], THREE.classes)
    assert (found.pixel_agreement, found.pictures, len(found.failures)) == (1.0, 1, 1)


def test_comparing_on_nothing_readable_gives_no_scores(tmp_path: Path) -> None:
    found = compare_segmenters(by_red, by_red, [tmp_path / "missing.png"], THREE.classes)
    assert found.to_json()["pixel_agreement"] is None
    assert found.to_json()["worst_picture"] is None
    assert "-" in found.to_table()


def test_results_are_plain_json(pairs: list[tuple[Path, Path]]) -> None:
    found = compare_segmenters(by_red, by_red, [pairs[0][0]], THREE.classes)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["pixel_agreement"] == 1.0


def test_models_are_given_as_many_pictures_at_a_time_as_the_larger_batch(greys: list[tuple[Path, Path]]) -> None:
    single, batched = FakeBackend(SPEC), FakeBackend(dataclasses.replace(SPEC, batch=4))
    pictures = [picture for picture, _ in greys]
    assert compare_segmenters(Segmenter(single), Segmenter(batched), pictures, SPEC.classes).pixel_agreement == 1
    assert (len(single.calls), len(batched.calls)) == (9, 3)
    mixed = compare_segmenters(by_brightness, Segmenter(batched), pictures, SPEC.classes)
    assert 0.2 < mixed.miou < 1
    assert (mixed.pictures, len(mixed.failures)) == (9, 1)
