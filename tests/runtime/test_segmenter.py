from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afformer.errors import BackendError, ImageError
from afformer.runtime import ColorOrder, Fit, Segmenter, classmap_from_logits
from afformer.runtime.backends.base import Array, output_tensor
from afformer.spec import InputKind, ModelSpec, OutputKind
from tests.builders.fake_backend import FakeBackend
from tests.builders.tiny_onnx import SPEC, variants, write_tiny_onnx

Picture = npt.NDArray[np.uint8]
CLASSMAP = dataclasses.replace(SPEC, output=OutputKind.CLASSMAP)
BYTES = dataclasses.replace(SPEC, input=InputKind.UINT8)


def _halves(height: int, width: int) -> Picture:
    """Black on the left, white on the right: class 0 and class 3, with 1 and 2 where they meet."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, width // 2 :] = 255
    return picture


def _shares(classmap: npt.NDArray[np.integer]) -> tuple[float, float]:
    """Share of class 0 in the left third and of class 3 in the right third."""
    third = classmap.shape[1] // 3
    return float((classmap[:, :third] == 0).mean()), float((classmap[:, -third:] == 3).mean())


@pytest.mark.parametrize("fit", [Fit.STRETCH, Fit.PAD])
@pytest.mark.parametrize("spec", variants().values(), ids=variants())
def test_every_kind_of_model_segments_a_picture_at_its_own_size(tmp_path: Path, spec: ModelSpec, fit: Fit) -> None:
    with Segmenter(write_tiny_onnx(tmp_path / "tiny.onnx", spec), fit=fit) as segment:
        classmap = segment(_halves(130, 301))
    assert classmap.shape == (130, 301)
    assert classmap.dtype == np.uint8
    # This network averages 8x8 pixels, so the padding shows in the last rows.
    assert _shares(classmap[:100]) == (1, 1)


def test_a_path_an_rgb_array_and_a_bgr_array_are_the_same_picture(tmp_path: Path) -> None:
    colourful = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    path = tmp_path / "picture.png"
    assert cv2.imwrite(str(path), colourful[:, :, ::-1])
    # Blue counts and red does not, so that swapped channels give another class map.
    backend = FakeBackend(BYTES, lambda x: _logits_of(x[..., 2]))
    expected = Segmenter(backend)(colourful)
    assert len(np.unique(expected)) == 2
    for order in ColorOrder:
        np.testing.assert_array_equal(Segmenter(backend, color_order=order)(path), expected)
        np.testing.assert_array_equal(Segmenter(backend, color_order=order)(str(path)), expected)
    np.testing.assert_array_equal(Segmenter(backend, color_order=ColorOrder.BGR)(colourful[:, :, ::-1]), expected)


def _logits_of(plane: Array) -> Array:
    """Class 1 where a `(1, H, W)` plane of bytes is bright, else class 0."""
    cells = plane[:, 4::8, 4::8].astype(np.float32) / 255
    return np.stack([1 - cells, cells, np.zeros_like(cells), np.zeros_like(cells)], axis=1)


def test_the_class_map_is_the_bilinear_argmax_of_the_logits() -> None:
    segment = Segmenter(FakeBackend(SPEC))
    picture = _halves(211, 97)
    np.testing.assert_array_equal(segment(picture), classmap_from_logits(segment.logits(picture), (211, 97)))


def test_padding_never_reaches_the_class_map() -> None:
    # The mean is of middling brightness, class 1 or 2; the picture is black all over.
    for spec in (SPEC, CLASSMAP, BYTES):
        classmap = Segmenter(FakeBackend(spec), fit=Fit.PAD)(np.zeros((40, 200, 3), np.uint8))
        assert classmap[:32].max() == 0


def test_a_class_map_model_is_cropped_and_enlarged_without_inventing_classes() -> None:
    segment = Segmenter(FakeBackend(CLASSMAP), fit=Fit.PAD)
    classmap = segment(_halves(640, 640))
    assert set(np.unique(classmap[:, :316])) == {0}
    assert set(np.unique(classmap[:, 324:])) == {3}


@settings(max_examples=40)
@given(st.integers(1, 200), st.integers(1, 260), st.sampled_from(list(Fit)), st.sampled_from([SPEC, BYTES]))
def test_the_class_map_always_has_the_size_of_the_picture(height: int, width: int, fit: Fit, spec: ModelSpec) -> None:
    white = np.full((height, width, 3), 255, np.uint8)
    classmap = Segmenter(FakeBackend(spec), fit=fit)(white)
    assert classmap.shape == (height, width)
    assert classmap[0, 0] == 3


def test_sliding_over_a_large_picture_keeps_small_things_that_stretching_loses() -> None:
    picture = np.zeros((400, 600, 3), np.uint8)
    picture[201:206, 304:309] = 255
    sampled = dataclasses.replace(SPEC, input=InputKind.UINT8)
    backend = FakeBackend(sampled, lambda x: _logits_of(x.max(axis=-1)))
    assert Segmenter(backend, fit=Fit.SLIDE)(picture)[204, 308] == 1
    assert not Segmenter(backend)(picture).any()


def test_sliding_tiles_that_agree_give_the_logits_of_one_large_model() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (160, 240, 3), np.uint8)
    tiles = FakeBackend(BYTES)
    whole = FakeBackend(dataclasses.replace(BYTES, input_hw=(160, 240)))
    got = Segmenter(tiles, fit=Fit.SLIDE).logits(picture)
    np.testing.assert_allclose(got, Segmenter(whole).logits(picture), atol=1e-6)
    assert len(tiles.calls) > 4
    np.testing.assert_array_equal(Segmenter(tiles, fit=Fit.SLIDE)(picture), Segmenter(whole)(picture))


def test_sliding_averages_where_tiles_overlap() -> None:
    answers = iter([0.0, 1.0])
    backend = FakeBackend(SPEC, lambda _: np.full((1, 4, 8, 12), next(answers), np.float32))
    grid = Segmenter(backend, fit=Fit.SLIDE, overlap=0.5).logits(np.zeros((64, 144, 3), np.uint8))
    np.testing.assert_array_equal(grid[0, 0], [0] * 6 + [0.5] * 6 + [1] * 6)


def test_sliding_fills_batches_with_tiles() -> None:
    single, batched = FakeBackend(BYTES), FakeBackend(dataclasses.replace(BYTES, batch=4))
    picture = np.random.default_rng(0).integers(0, 256, (100, 250, 3), np.uint8)
    expected = Segmenter(single, fit=Fit.SLIDE)(picture)
    np.testing.assert_array_equal(Segmenter(batched, fit=Fit.SLIDE)(picture), expected)
    assert len(batched.calls) == -(-len(single.calls) // 4)


def test_several_pictures_of_different_sizes_share_batches() -> None:
    pictures = [np.full((20 + i, 30 + i, 3), 60 * i, np.uint8) for i in range(5)]
    backend = FakeBackend(dataclasses.replace(SPEC, batch=3))
    together = Segmenter(backend).segment_batch(pictures)
    assert len(backend.calls) == 2
    assert [classmap.shape for classmap in together] == [picture.shape[:2] for picture in pictures]
    for picture, classmap in zip(pictures, together, strict=True):
        np.testing.assert_array_equal(classmap, Segmenter(FakeBackend(SPEC))(picture))


def test_class_maps_of_several_pictures_go_where_they_are_told_to() -> None:
    pictures = [np.full((20 + i, 30, 3), 80 * i, np.uint8) for i in range(3)]
    for fit in Fit:
        segment = Segmenter(FakeBackend(dataclasses.replace(SPEC, batch=2)), fit=fit)
        second = np.empty((21, 30), np.uint8)
        found = segment.segment_batch(pictures, out=[None, second, None])
        assert found[1] is second
        for one, other in zip(found, segment.segment_batch(pictures), strict=True):
            np.testing.assert_array_equal(one, other)
        with pytest.raises(ValueError, match="one place for each of 3 pictures, got 1"):
            segment.segment_batch(pictures, out=[second])


def test_in_tiles_one_picture_at_a_time_is_enough() -> None:
    backend = FakeBackend(dataclasses.replace(SPEC, batch=4))
    assert {fit: Segmenter(backend, fit=fit).batch for fit in Fit} == {Fit.STRETCH: 4, Fit.PAD: 4, Fit.SLIDE: 1}


def test_unused_rows_of_a_batch_hold_the_first_picture_and_no_leftovers() -> None:
    backend = FakeBackend(dataclasses.replace(SPEC, batch=3))
    segment = Segmenter(backend)
    segment.segment_batch([np.full((9, 9, 3), grey, np.uint8) for grey in (10, 20, 30)])
    segment(np.full((9, 9, 3), 200, np.uint8))
    last = backend.calls[-1]
    assert np.all(last == last[0, :, :1, :1])


def test_a_backend_that_reuses_its_output_buffer_does_no_harm() -> None:
    buffer = np.zeros((1, 4, 8, 12), np.float32)

    def answer(image: Array) -> Array:
        buffer[:] = 0
        buffer[:, int(image.mean() > 0)] = 1
        return buffer

    segment = Segmenter(FakeBackend(SPEC, answer))
    dark, bright = np.zeros((9, 9, 3), np.uint8), np.full((9, 9, 3), 255, np.uint8)
    first, second = segment.segment_batch([dark, bright])
    assert (first.max(), second.min()) == (0, 1)
    logits = segment.logits(dark)
    segment.logits(bright)
    assert np.all(logits[0] == 1)


def test_no_pictures_give_no_class_maps() -> None:
    assert Segmenter(FakeBackend(SPEC)).segment_batch([]) == []


def test_a_class_map_model_has_no_logits_and_says_how_to_get_them() -> None:
    with pytest.raises(BackendError, match="--output logits"):
        Segmenter(FakeBackend(CLASSMAP)).logits(_halves(10, 10))
    with pytest.raises(BackendError, match="--output logits"):
        Segmenter(FakeBackend(CLASSMAP), fit=Fit.SLIDE)


def test_a_bad_overlap_is_refused_before_the_first_picture() -> None:
    with pytest.raises(ValueError, match="overlap"):
        Segmenter(FakeBackend(SPEC), fit=Fit.SLIDE, overlap=1.0)


@pytest.mark.parametrize("fit", list(Fit))
@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (4, 4, 5), (0, 4, 3), (3, 40, 60), (1, 4, 4, 3)])
def test_anything_but_a_picture_is_refused_in_one_line(fit: Fit, shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"uint8 array of shape \(H, W\).*but got uint8 of shape") as caught:
        Segmenter(FakeBackend(SPEC), fit=fit)(np.zeros(shape, np.uint8))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_a_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_text("no picture")
    with pytest.raises(ImageError, match=r"notes\.jpg"):
        Segmenter(FakeBackend(SPEC))(path)


def test_it_closes_the_model_it_opened_but_not_the_one_it_was_given(tmp_path: Path) -> None:
    given_backend = FakeBackend(SPEC)
    with Segmenter(given_backend) as segment:
        assert segment.backend is given_backend
    Segmenter(given_backend)(_halves(8, 8))
    with Segmenter(write_tiny_onnx(tmp_path / "tiny.onnx")) as segment:
        assert segment.spec == SPEC
    with pytest.raises(BackendError, match="closed"):
        segment(_halves(8, 8))


def test_slide_needs_tiles_of_whole_cells() -> None:
    spec = dataclasses.replace(SPEC, input_hw=(100, 64))
    with pytest.raises(BackendError, match=r"tiles of 100x64 do not fit together.*multiples of 8"):
        Segmenter(FakeBackend(spec), fit=Fit.SLIDE)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_an_error_and_no_class(value: float) -> None:
    spec = dataclasses.replace(SPEC, output=OutputKind.LOGITS)
    _, shape, _ = output_tensor(spec)
    backend = FakeBackend(spec, lambda image: np.full(shape, value, np.float32))
    with pytest.raises(BackendError, match="logits are not finite"):
        Segmenter(backend)(np.zeros((20, 30, 3), np.uint8))
