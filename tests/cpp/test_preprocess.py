from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from afformer.assets import pictures
from afformer.images import read_image
from afformer.runtime.choices import Fit
from afformer.runtime.preprocess import Image, fit_picture
from afformer.spec import ColorOrder, InputKind, ModelSpec
from tests.cpp.probe import Probe

FITS = (Fit.STRETCH, Fit.PAD)
LENGTHS = st.one_of(st.integers(1, 9), st.integers(1, 200))
MODEL = ModelSpec("tiny", (64, 96), ("road",), ((1, 2, 3),))


@pytest.fixture(scope="module", params=["SSE2", "scalar", "NEON"])
def kernels(request: pytest.FixtureRequest) -> Probe:
    """The probe with one kind of inner loops after the other."""
    running: Probe = request.getfixturevalue("arm_probe" if request.param == "NEON" else "probe")
    running.kernels = "scalar" if request.param == "scalar" else "native"
    if request.param != "scalar" and running.native_kernels() != request.param:
        pytest.skip(f"this processor has {running.native_kernels()}, not {request.param}")
    return running


def _model(height: int, width: int, kind: InputKind = InputKind.FLOAT32) -> ModelSpec:
    return dataclasses.replace(MODEL, input_hw=(height, width), input=kind)


def _picture(height: int, width: int, seed: int = 0) -> Image:
    """Every value and steep edges, where rounding shows."""
    random = np.random.default_rng(seed)
    picture = random.integers(0, 256, (height, width, 3), np.uint8)
    return np.where(random.random(picture.shape) < 0.3, np.where(picture < 128, 0, 255), picture).astype(np.uint8)


def _assert_same(kernels: Probe, picture: Image, spec: ModelSpec, fit: Fit, order: ColorOrder = ColorOrder.RGB) -> None:
    got, expected = kernels.prepare(picture, spec, fit, order), fit_picture(picture, spec, fit, order)
    np.testing.assert_array_equal(got.tensor, expected.tensor, strict=True)
    assert dataclasses.replace(got, tensor=expected.tensor) == expected


@settings(max_examples=300)
@given(
    size=st.tuples(LENGTHS, LENGTHS),
    input_hw=st.tuples(LENGTHS, LENGTHS),
    gap=st.integers(0, 7),
    fit=st.sampled_from(FITS),
    kind=st.sampled_from(InputKind),
    order=st.sampled_from(ColorOrder),
    models=st.sampled_from(ColorOrder),
    seed=st.integers(0, 2**32 - 1),
)
@example((2, 2), (1, 1), 0, Fit.STRETCH, InputKind.UINT8, ColorOrder.RGB, ColorOrder.BGR, 0)
def test_the_tensor_has_pythons_bits(
    kernels: Probe,
    size: tuple[int, int],
    input_hw: tuple[int, int],
    gap: int,
    fit: Fit,
    kind: InputKind,
    order: ColorOrder,
    models: ColorOrder,
    seed: int,
) -> None:
    picture = _picture(size[0], size[1] + gap, seed)[:, : size[1]]
    _assert_same(kernels, picture, dataclasses.replace(_model(*input_hw, kind), color_order=models), fit, order)


@settings(max_examples=100)
@given(input_hw=st.tuples(LENGTHS, LENGTHS), y=st.integers(1, 4), x=st.integers(1, 4), up=st.booleans())
def test_whole_multiples_too(kernels: Probe, input_hw: tuple[int, int], y: int, x: int, up: bool) -> None:
    """OpenCV has a way of its own for a half, and might have for others."""
    height, width = input_hw
    small, large = (height, width), (height * y, width * x)
    picture_hw, model_hw = (small, large) if up else (large, small)
    _assert_same(kernels, _picture(*picture_hw), _model(*model_hw, InputKind.UINT8), Fit.STRETCH)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("input_hw", [(360, 480), (512, 512), (1024, 1024), (375, 1001)])
@pytest.mark.parametrize("path", pictures(), ids=lambda path: path.stem)
def test_photos_have_pythons_bits(kernels: Probe, path: object, input_hw: tuple[int, int], fit: Fit) -> None:
    picture = read_image(path)  # type: ignore[arg-type]
    _assert_same(kernels, picture, _model(*input_hw), fit)


@pytest.mark.parametrize("size", [(1, 3000), (3000, 1), (1, 1), (2000, 3)])
@pytest.mark.parametrize("fit", FITS)
def test_very_long_pictures(kernels: Probe, size: tuple[int, int], fit: Fit) -> None:
    _assert_same(kernels, _picture(*size), _model(64, 96), fit)


@settings(max_examples=60)
@given(
    mean=st.tuples(*[st.floats(0, 255)] * 3),
    std=st.tuples(*[st.floats(0.001, 1000)] * 3),
    fit=st.sampled_from(FITS),
    kind=st.sampled_from(InputKind),
)
def test_any_normalisation(
    kernels: Probe, mean: tuple[float, float, float], std: tuple[float, float, float], fit: Fit, kind: InputKind
) -> None:
    spec = dataclasses.replace(_model(16, 24, kind), mean=mean, std=std)
    every_value = np.arange(256 * 3, dtype=np.uint8).reshape(16, 16, 3)
    _assert_same(kernels, every_value, spec, fit)


@pytest.mark.parametrize("kind", InputKind)
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(100, 80), (32, 48), (16, 24), (64, 96), (40, 200)])
def test_nothing_is_allocated_for_a_second_picture_of_the_same_size(
    kernels: Probe, size: tuple[int, int], fit: Fit, kind: InputKind
) -> None:
    kernels.prepare(_picture(*size, seed=1), _model(32, 48, kind), fit)
    kernels.prepare(_picture(*size, seed=2), _model(32, 48, kind), fit)
    assert kernels.allocations == 0


def test_the_first_picture_does_allocate(kernels: Probe) -> None:
    """The counter counts."""
    kernels.prepare(_picture(57, 91), _model(33, 47), Fit.STRETCH)
    assert kernels.allocations > 0


@pytest.mark.parametrize("sizes", [((200, 20), (20, 200)), ((20, 200), (200, 20)), ((64, 96), (33, 47))])
def test_memory_that_runs_out_leaves_no_half_made_tables(kernels: Probe, sizes: tuple[tuple[int, int], ...]) -> None:
    first, second = (_picture(*size) for size in sizes)
    tried = kernels.recovers(
        lambda: kernels.prepare(first, MODEL, Fit.PAD).tensor, lambda: kernels.prepare(second, MODEL, Fit.PAD).tensor
    )
    assert tried > 0
