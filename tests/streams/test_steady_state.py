"""From the second frame of a video on, nothing large is allocated any more."""

from __future__ import annotations

import dataclasses
import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from afformer import assets, datasets
from afformer.images import RGBImage, read_image
from afformer.runtime import ColorOrder, Fit, Segmenter
from afformer.runtime.backends.base import Array, Backend
from afformer.runtime.render import Renderer
from afformer.spec import InputKind, ModelSpec, OutputKind
from tests.builders.tiny_onnx import SPEC, write_tiny_onnx

MANY = datasets.generic(150)
LARGE = ModelSpec(variant="tiny", input_hw=(512, 512), classes=MANY.classes, palette=MANY.palette)
FEW_BYTES = 400_000
"""Numbers that depend on how many borders there are. The logits alone are 2.5 MB here, the class map is 0.9 MB."""


class Recorded(Backend):
    """Always gives the same answer, and allocates nothing."""

    def __init__(self, spec: ModelSpec, answer: Array) -> None:
        self.spec, self.description, self._answer = spec, "recorded", answer

    def _run(self, image: Array) -> Array:
        return self._answer


@pytest.fixture(scope="module")
def frame() -> RGBImage:
    return read_image(next(path for path in assets.pictures() if "1280x720" in path.name))


@pytest.fixture(scope="module")
def logits(frame: RGBImage) -> npt.NDArray[np.float32]:
    """`(1, 150, 64, 64)`: what the bundled network sees in the frame, and 139 classes that mix two of its own."""
    with Segmenter(assets.MODEL, threads=1) as segment:
        seen = np.stack([cv2.resize(plane, (64, 64)) for plane in segment.logits(frame)])
    one, other = np.random.default_rng(0).integers(0, len(seen), (2, 150 - len(seen)))
    mixed = np.concatenate([seen, (seen[one] + seen[other]) / 2 - 2])
    return np.ascontiguousarray(mixed[None], np.float32)


def peak_bytes(call: Callable[[], object], frames: int = 3) -> int:
    """The most that some calls take beyond what was there before them."""
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(frames):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def assert_steady(segment: Segmenter, frame: RGBImage, allowed: int = FEW_BYTES) -> None:
    renderer = Renderer(segment.spec.classes, segment.spec.palette, outlines=True, names=True)
    classmap = np.empty(frame.shape[:2], np.uint8)
    for _ in range(2):
        renderer.overlay(frame, segment(frame, out=classmap))
    assert len(np.unique(classmap)) > 5
    assert peak_bytes(lambda: renderer.overlay(frame, segment(frame, out=classmap))) < allowed
    # Left to itself it makes the class map anew, and only that.
    assert classmap.nbytes <= peak_bytes(lambda: segment(frame), 1) < classmap.nbytes + allowed


@pytest.mark.parametrize("order", ColorOrder)
@pytest.mark.parametrize("fit", [Fit.STRETCH, Fit.PAD])
@pytest.mark.parametrize("kind", InputKind)
def test_frames_of_one_size_are_segmented_and_drawn_in_the_same_buffers(
    frame: RGBImage, logits: Array, order: ColorOrder, fit: Fit, kind: InputKind
) -> None:
    backend = Recorded(dataclasses.replace(LARGE, input=kind), logits)
    assert_steady(Segmenter(backend, fit=fit, color_order=order), frame)


def test_a_real_backend_keeps_to_its_buffers_too(frame: RGBImage) -> None:
    with Segmenter(assets.MODEL, threads=1) as segment:
        assert_steady(segment, frame)


def test_so_do_models_that_put_out_class_maps(frame: RGBImage, logits: Array) -> None:
    spec = dataclasses.replace(LARGE, output=OutputKind.CLASSMAP)
    ids = logits.argmax(axis=1).astype(np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    assert_steady(Segmenter(Recorded(spec, ids)), frame)


def test_so_do_sliding_windows(frame: RGBImage, logits: Array) -> None:
    # Their common grid has 90x160 cells, 8.6 MB of logits, and as much more borders.
    assert_steady(Segmenter(Recorded(LARGE, logits), fit=Fit.SLIDE), frame, 4 * FEW_BYTES)


def test_a_class_map_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    frame = np.zeros((40, 50, 3), np.uint8)
    for spec in (SPEC, dataclasses.replace(SPEC, output=OutputKind.CLASSMAP)):
        with Segmenter(write_tiny_onnx(tmp_path / "m.onnx", spec)) as segment:
            for wrong in (
                np.empty((50, 40), np.uint8),
                np.empty((40, 50), np.int32),
                np.empty((40, 100), np.uint8)[:, ::2],
            ):
                with pytest.raises(ValueError, match=r"out must be a contiguous array of uint8 and shape \(40, 50\)"):
                    segment(frame, out=wrong)


def test_with_and_without_a_given_class_map_the_answer_is_the_same(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    with Segmenter(write_tiny_onnx(tmp_path / "m.onnx")) as segment, Segmenter(tmp_path / "m.onnx") as fresh:
        for size in ((64, 96), (130, 70), (30, 200), (64, 96)):  # buffers grow, shrink and are used again
            frame = random.integers(0, 256, (*size, 3), np.uint8)
            given = np.empty(size, np.uint8)
            assert segment(frame, out=given) is given
            np.testing.assert_array_equal(given, Segmenter(fresh.backend)(frame))


def test_class_maps_of_earlier_frames_stay_as_they_were(tmp_path: Path) -> None:
    with Segmenter(write_tiny_onnx(tmp_path / "m.onnx")) as segment:
        dark = segment(np.zeros((40, 50, 3), np.uint8))
        segment(np.full((40, 50, 3), 255, np.uint8))
    assert not dark.any()
