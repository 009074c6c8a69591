from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afformer.errors import ImageError
from afformer.runtime.backends.base import input_tensor
from afformer.runtime.choices import Fit
from afformer.runtime.preprocess import Image, fit_picture, write_input
from afformer.spec import ColorOrder, InputKind, ModelSpec
from tests.builders.tiny_onnx import SPEC

BYTES = dataclasses.replace(SPEC, input=InputKind.UINT8)
SIZES = st.integers(1, 300)


def _picture(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def _as_in_training(picture: Image) -> npt.NDArray[np.float64]:
    """Resize the bytes, then normalise, in float64."""
    height, width = SPEC.input_hw
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float64)
    return ((resized - SPEC.mean) / SPEC.std).transpose(2, 0, 1)


def test_stretch_is_what_training_does() -> None:
    picture = _picture(123, 77)
    fitted = fit_picture(picture, SPEC)
    assert fitted.tensor.dtype == np.float32
    np.testing.assert_allclose(fitted.tensor, _as_in_training(picture), atol=1e-6)


def test_models_that_take_bytes_get_the_resized_rgb_bytes() -> None:
    picture = _picture(123, 77)
    expected = cv2.resize(picture, (96, 64), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(fit_picture(picture, BYTES).tensor, expected)


@pytest.mark.parametrize("fit", [Fit.STRETCH, Fit.PAD])
@pytest.mark.parametrize("spec", [SPEC, BYTES], ids=["float", "bytes"])
def test_a_bgr_array_gives_the_same_tensor(fit: Fit, spec: ModelSpec) -> None:
    picture = _picture(50, 120)
    expected = fit_picture(picture, spec, fit).tensor
    swapped = fit_picture(np.ascontiguousarray(picture[:, :, ::-1]), spec, fit, ColorOrder.BGR).tensor
    np.testing.assert_array_equal(swapped, expected)
    view = fit_picture(picture[:, :, ::-1], spec, fit, ColorOrder.BGR).tensor
    np.testing.assert_array_equal(view, expected)


@pytest.mark.parametrize("order", ColorOrder)
@pytest.mark.parametrize("spec", [SPEC, BYTES], ids=["float", "bytes"])
def test_a_model_of_blue_green_red_gets_its_channels_turned_and_its_own_mean(
    spec: ModelSpec, order: ColorOrder
) -> None:
    rgb = _picture(50, 120)
    picture = rgb if order is ColorOrder.RGB else np.ascontiguousarray(rgb[:, :, ::-1])
    turned = dataclasses.replace(spec, color_order=ColorOrder.BGR, mean=spec.mean[::-1], std=spec.std[::-1])
    expected = fit_picture(rgb, spec, Fit.PAD).tensor
    flipped = expected[::-1] if spec.input is InputKind.FLOAT32 else expected[..., ::-1]
    np.testing.assert_array_equal(fit_picture(picture, turned, Fit.PAD, order).tensor, flipped)


def test_pad_keeps_the_aspect_ratio_and_puts_the_mean_beside_the_picture() -> None:
    fitted = fit_picture(_picture(100, 100), SPEC, Fit.PAD)
    assert fitted.covered_hw == (64, 64)
    assert (fitted.span_y, fitted.span_x) == (8, 8)
    assert np.all(fitted.tensor[:, :, 64:] == 0)
    assert np.abs(fitted.tensor[:, :, :64]).mean() > 0.5


def test_pad_of_bytes_is_the_rounded_mean() -> None:
    tensor = fit_picture(_picture(10, 96), BYTES, Fit.PAD).tensor
    assert np.all(tensor[10:] == (124, 116, 104))


def test_pad_and_stretch_agree_where_the_aspect_ratio_fits() -> None:
    picture = _picture(32, 48)
    stretched, padded = fit_picture(picture, SPEC), fit_picture(picture, SPEC, Fit.PAD)
    np.testing.assert_array_equal(stretched.tensor, padded.tensor)
    assert stretched.covered_hw == padded.covered_hw == (64, 96)


@settings(max_examples=40)
@given(SIZES, SIZES, st.sampled_from([Fit.STRETCH, Fit.PAD]), st.sampled_from([SPEC, BYTES]))
def test_every_size_of_picture_fills_the_whole_tensor(height: int, width: int, fit: Fit, spec: ModelSpec) -> None:
    _, shape, dtype = input_tensor(spec)
    out = np.full(shape[1:], 77 if spec is BYTES else np.nan, dtype)
    fitted = fit_picture(np.full((height, width, 3), 200, np.uint8), spec, fit, out=out)
    assert fitted.tensor is out
    assert fitted.image_hw == (height, width)
    assert np.all(out != 77) if spec is BYTES else not np.isnan(out).any()
    covered_h, covered_w = fitted.covered_hw
    assert 1 <= covered_h <= 64
    assert 1 <= covered_w <= 96
    assert fit is Fit.STRETCH or covered_h == 64 or covered_w == 96
    assert fitted.span_y == pytest.approx(covered_h / 8)
    assert fitted.span_x == pytest.approx(covered_w / 8)


def test_one_pixel_is_enough() -> None:
    tensor = fit_picture(np.array([[[255, 0, 0]]], np.uint8), SPEC).tensor
    red, green, blue = ((value - mean) / std for value, mean, std in zip((255, 0, 0), SPEC.mean, SPEC.std, strict=True))
    np.testing.assert_allclose(tensor[:, 0, 0], (red, green, blue), rtol=1e-5)
    assert np.all(tensor == tensor[:, :1, :1])


def test_placed_pixels_keep_their_values() -> None:
    picture = _picture(20, 96)
    np.testing.assert_array_equal(write_input(picture, BYTES, ColorOrder.RGB)[:20], picture)


def test_an_odd_input_size_spans_the_whole_logit_grid() -> None:
    odd = dataclasses.replace(SPEC, input_hw=(67, 85))
    fitted = fit_picture(_picture(30, 30), odd)
    assert (fitted.span_y, fitted.span_x) == (9, 11)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.uint16),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        [[1, 2, 3]],
    ],
    ids=["grey", "RGBA", "float", "16 bits", "empty", "batch", "list"],
)
def test_anything_but_a_picture_is_refused_in_one_line(picture: Image) -> None:
    with pytest.raises(ImageError, match=r"must be .*\(H, W, 3\) uint8 array") as caught:
        fit_picture(picture, SPEC)
    assert "\n" not in str(caught.value)
