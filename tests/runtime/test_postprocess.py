from __future__ import annotations

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afformer.runtime.postprocess import classmap_from_logits, resize_classmap

GOLDEN = Path(__file__).parents[2] / ".." / "shared" / "golden"
Floats = npt.NDArray[np.float64]
NEAR_TIE = 1e-5


def _full_bilinear(logits: npt.NDArray[np.floating], out_hw: tuple[int, int], span: tuple[float, float]) -> Floats:
    """`(C, H, W)`, by the definition, in float64."""
    full = logits.astype(np.float64)
    for axis, (length, cells, out) in enumerate(zip(span, logits.shape[1:], out_hw, strict=True), start=1):
        source = np.clip((np.arange(out) + 0.5) * length / out - 0.5, 0, cells - 1)
        near = np.floor(source).astype(int)
        weight = (source - near)[:, None] if axis == 1 else source - near
        far = np.minimum(near + 1, cells - 1)
        full = full.take(near, axis) * (1 - weight) + full.take(far, axis) * weight
    return full


def _assert_exact(
    logits: npt.NDArray[np.floating], out_hw: tuple[int, int], span: tuple[float, float] | None = None
) -> None:
    """Every pixel's class is the argmax; where it is not, its logit is the maximum but for float32's rounding."""
    got = classmap_from_logits(logits, out_hw, span)
    full = _full_bilinear(logits, out_hw, span or (logits.shape[1], logits.shape[2]))
    assert got.shape == out_hw
    chosen = np.take_along_axis(full, got[None].astype(np.intp), axis=0)[0]
    tolerance = NEAR_TIE * max(1, np.abs(logits).max())
    assert np.all(chosen >= full.max(axis=0) - tolerance)
    assert (got != full.argmax(axis=0)).mean() < 0.001


def _smooth(classes: int, height: int, width: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Logits with coherent regions and a fifth to a third of the cells at their borders, like a real network's."""
    random = np.random.default_rng(seed)
    coarse = random.normal(size=(classes, height // 8 + 2, width // 8 + 2)).astype(np.float32)
    planes = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC) for plane in coarse]
    return np.stack(planes) * 4 + random.normal(size=(classes, 1, 1)).astype(np.float32) * 2


@pytest.mark.parametrize("out_hw", [(256, 256), (180, 240), (351, 167), (32, 32), (33, 31), (10, 15), (1, 1), (1, 200)])
def test_coherent_logits_of_150_classes_at_any_size(out_hw: tuple[int, int]) -> None:
    _assert_exact(_smooth(150, 32, 32), out_hw)


@pytest.mark.parametrize("span", [(40.0, 25.5), (0.3, 0.2), (45.0, 60.0), (44.875, 1.0)])
def test_a_picture_that_covers_part_of_the_grid(span: tuple[float, float]) -> None:
    _assert_exact(_smooth(11, 45, 60), (200, 171), span)


@pytest.mark.parametrize("name", ["tiny_ade20k_128x128", "base_cityscapes_128x256"])
def test_real_logits_agree_with_the_full_size_way(name: str) -> None:
    if not (GOLDEN / f"{name}.npz").exists():
        pytest.skip("needs the shared golden outputs")
    with np.load(GOLDEN / f"{name}.npz") as golden:
        logits = golden["logits"][0]
    _assert_exact(logits, (logits.shape[1] * 8, logits.shape[2] * 8))
    _assert_exact(logits, (161, 233))


@settings(max_examples=150)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 7), st.integers(1, 7)),
    out_hw=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    covered=st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)),
    levels=st.sampled_from([2, 5, 1000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape_any_span_and_logits_full_of_ties(
    shape: tuple[int, int, int], out_hw: tuple[int, int], covered: tuple[float, float], levels: int, seed: int
) -> None:
    logits = np.random.default_rng(seed).integers(0, levels, shape).astype(np.float32)
    span = (covered[0] * shape[1], covered[1] * shape[2])
    full = _full_bilinear(logits, out_hw, span)
    got = classmap_from_logits(logits, out_hw, span)
    chosen = np.take_along_axis(full, got[None].astype(np.intp), axis=0)[0]
    assert np.all(chosen >= full.max(axis=0) - NEAR_TIE * levels)


def test_the_lowest_class_wins_a_tie() -> None:
    plane = _smooth(1, 10, 10)[0]
    low = plane - 1
    got = classmap_from_logits(np.stack([low, plane, low, plane, plane]), (83, 79))
    assert np.all(got == 1)


def test_where_two_of_three_tie_everywhere_the_lower_one_has_all_their_pixels() -> None:
    first, second = _smooth(2, 12, 12)
    got = classmap_from_logits(np.stack([first, second, second]), (96, 96))
    assert set(np.unique(got)) == {0, 1}
    np.testing.assert_array_equal(got, classmap_from_logits(np.stack([first, second]), (96, 96)))


def test_a_class_that_wins_at_no_corner_still_wins_between_them() -> None:
    left_right = np.array([[[10, -10]], [[-10, 10]], [[9, 9]]], np.float32)
    got = classmap_from_logits(left_right, (1, 100))
    assert set(got[0]) == {0, 1, 2}
    assert got[0, 50] == 2


def test_nothing_but_borders_everywhere() -> None:
    logits = np.random.default_rng(0).normal(size=(60, 20, 20)).astype(np.float32)
    _assert_exact(logits, (160, 160))


def test_two_cells_blown_up_to_a_large_picture() -> None:
    _assert_exact(np.random.default_rng(1).normal(size=(5, 2, 2)).astype(np.float32), (400, 700))


def test_one_class_is_everywhere() -> None:
    got = classmap_from_logits(np.zeros((1, 3, 4), np.float32), (30, 40))
    assert got.dtype == np.uint8
    assert not got.any()


def test_one_cell_is_everywhere() -> None:
    got = classmap_from_logits(np.array([1, 3, 2], np.float32).reshape(3, 1, 1), (30, 40))
    assert np.all(got == 1)


def test_more_than_256_classes_are_int32() -> None:
    logits = _smooth(300, 16, 16)
    logits[290] += 5
    got = classmap_from_logits(logits, (128, 128))
    assert got.dtype == np.int32
    assert got.max() >= 290
    _assert_exact(logits, (128, 128))


def test_256_classes_are_still_uint8() -> None:
    logits = np.zeros((256, 2, 2), np.float32)
    logits[255] = 1
    got = classmap_from_logits(logits, (5, 5))
    assert got.dtype == np.uint8
    assert np.all(got == 255)


def test_half_precision_and_strided_logits_give_the_same_map() -> None:
    half = _smooth(20, 16, 16).astype(np.float16)
    expected = classmap_from_logits(half.astype(np.float32), (128, 128))
    np.testing.assert_array_equal(classmap_from_logits(half, (128, 128)), expected)
    channels_last = np.ascontiguousarray(half.transpose(1, 2, 0)).transpose(2, 0, 1)
    np.testing.assert_array_equal(classmap_from_logits(channels_last, (128, 128)), expected)


def test_the_logits_are_left_as_they_were() -> None:
    logits = _smooth(20, 16, 16)
    before = logits.copy()
    classmap_from_logits(logits, (128, 128))
    np.testing.assert_array_equal(logits, before)


def test_memory_stays_far_below_the_full_size_logits_even_if_all_is_border() -> None:
    logits = np.random.default_rng(0).normal(size=(40, 40, 60)).astype(np.float32)
    out_hw = (800, 1200)
    tracemalloc.start()
    classmap_from_logits(logits, out_hw)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    full_size = 40 * 800 * 1200 * 4
    assert peak < full_size / 10


@pytest.mark.parametrize(
    ("shape", "out_hw", "span"),
    [
        ((3, 4), (8, 8), None),
        ((3, 0, 4), (8, 8), None),
        ((3, 4, 4), (0, 8), None),
        ((3, 4, 4), (8, 8), (4.5, 4.0)),
        ((3, 4, 4), (8, 8), (0.0, 4.0)),
    ],
)
def test_what_makes_no_sense_is_refused(
    shape: tuple[int, ...], out_hw: tuple[int, int], span: tuple[float, float] | None
) -> None:
    with pytest.raises(ValueError, match="must be"):
        classmap_from_logits(np.zeros(shape, np.float32), out_hw, span)


def test_it_is_what_pytorch_does() -> None:
    torch = pytest.importorskip("torch")
    logits = _smooth(19, 23, 31)
    full = torch.nn.functional.interpolate(torch.from_numpy(logits)[None], size=(181, 250), mode="bilinear")[0].numpy()
    got = classmap_from_logits(logits, (181, 250))
    chosen = np.take_along_axis(full, got[None].astype(np.intp), axis=0)[0]
    assert np.all(chosen >= full.max(axis=0) - NEAR_TIE * np.abs(logits).max())


def test_a_class_map_at_its_own_size_is_unchanged() -> None:
    classmap = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(resize_classmap(classmap, (3, 4)), classmap)


def test_enlarging_a_class_map_repeats_and_shrinking_it_again_restores() -> None:
    classmap = np.arange(12, dtype=np.int32).reshape(3, 4)
    enlarged = resize_classmap(classmap, (15, 20))
    np.testing.assert_array_equal(enlarged, classmap.repeat(5, axis=0).repeat(5, axis=1))
    np.testing.assert_array_equal(resize_classmap(enlarged, (3, 4)), classmap)
    assert enlarged.dtype == np.int32
