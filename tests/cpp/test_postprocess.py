from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afformer.runtime.postprocess import classmap_from_logits, resize_classmap
from tests.cpp import probe as probing
from tests.cpp.probe import Probe, RefusedError

GOLDEN = Path(__file__).parents[2] / ".." / "shared" / "golden"
Floats = npt.NDArray[np.float32]


def _smooth(classes: int, height: int, width: int, seed: int = 0) -> Floats:
    """Logits with coherent regions, like a real network's."""
    random = np.random.default_rng(seed)
    coarse = random.normal(size=(classes, height // 8 + 2, width // 8 + 2)).astype(np.float32)
    planes = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC) for plane in coarse]
    return np.stack(planes) * 4 + random.normal(size=(classes, 1, 1)).astype(np.float32) * 2


def _noise(classes: int, height: int, width: int) -> Floats:
    return np.random.default_rng(0).normal(size=(classes, height, width)).astype(np.float32)


def _assert_same(
    probe: Probe, logits: Floats, out_hw: tuple[int, int], span: tuple[float, float] | None = None
) -> None:
    got, expected = probe.from_logits(logits, out_hw, span), classmap_from_logits(logits, out_hw, span)
    np.testing.assert_array_equal(got, expected, strict=True)


@settings(max_examples=300)
@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 9), st.integers(1, 9)),
    out_hw=st.tuples(st.integers(1, 130), st.integers(1, 130)),
    covered=st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)),
    levels=st.sampled_from([2, 5, 1000, 2**24]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape_any_span_and_logits_full_of_ties(
    probe: Probe,
    shape: tuple[int, int, int],
    out_hw: tuple[int, int],
    covered: tuple[float, float],
    levels: int,
    seed: int,
) -> None:
    logits = np.random.default_rng(seed).integers(-levels, levels, shape) / 7
    _assert_same(probe, logits.astype(np.float32), out_hw, (covered[0] * shape[1], covered[1] * shape[2]))


@pytest.mark.parametrize("out_hw", [(256, 256), (180, 240), (351, 167), (32, 32), (33, 31), (10, 15), (1, 1), (1, 200)])
def test_coherent_logits_of_150_classes_at_any_size(probe: Probe, out_hw: tuple[int, int]) -> None:
    _assert_same(probe, _smooth(150, 32, 32), out_hw)


@pytest.mark.parametrize("span", [(40.0, 25.5), (0.3, 0.2), (45.0, 60.0), (44.875, 1.0)])
def test_a_picture_that_covers_part_of_the_grid(probe: Probe, span: tuple[float, float]) -> None:
    _assert_same(probe, _smooth(11, 45, 60), (360, 480), span)


@pytest.mark.parametrize("name", ["tiny_ade20k_128x128", "base_cityscapes_128x256"])
def test_real_logits(probe: Probe, name: str) -> None:
    if not (GOLDEN / f"{name}.npz").exists():
        pytest.skip("needs the shared golden outputs")
    with np.load(GOLDEN / f"{name}.npz") as golden:
        logits = golden["logits"][0]
    _assert_same(probe, logits, (logits.shape[1] * 8, logits.shape[2] * 8))
    _assert_same(probe, logits, (161, 233))


@pytest.mark.parametrize(
    ("shape", "out_hw"),
    [((60, 20, 20), (160, 160)), ((256, 3, 3), (40, 50)), ((5, 2, 2), (400, 700)), ((1, 3, 4), (9, 9))],
)
def test_nothing_but_borders(probe: Probe, shape: tuple[int, int, int], out_hw: tuple[int, int]) -> None:
    _assert_same(probe, _noise(*shape), out_hw)


def test_where_two_of_three_tie_everywhere_the_lower_one_has_all_their_pixels(probe: Probe) -> None:
    first, second = _smooth(2, 12, 12)
    _assert_same(probe, np.stack([first, second, second]), (96, 96))


def test_more_cells_than_fit_one_stretch_of_the_winner_search(probe: Probe) -> None:
    _assert_same(probe, _smooth(3, 40, 60), (77, 333))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_give_some_class(probe: Probe, value: float) -> None:
    logits = _noise(4, 6, 6)
    logits[:, 1::2, ::3] = value
    assert probe.from_logits(logits, (50, 50)).max() < 4


@pytest.mark.parametrize(("classes", "height", "width", "out_hw"), [(11, 20, 30, (160, 240)), (150, 8, 8, (64, 64))])
def test_nothing_is_allocated_for_other_logits_of_the_same_sizes(
    probe: Probe, classes: int, height: int, width: int, out_hw: tuple[int, int]
) -> None:
    probe.from_logits(np.zeros((classes, height, width), np.float32), out_hw)
    probe.from_logits(_noise(classes, height, width), out_hw)
    assert probe.allocations == 0


@pytest.mark.parametrize(
    ("shape", "out_hw", "span", "said"),
    [
        ((257, 2, 2), (8, 8), None, "257 classes"),
        ((0, 2, 2), (8, 8), None, "0 classes"),
        ((3, 0, 4), (8, 8), None, "0x4 cells"),
        ((3, 4, 4), (0, 8), None, "0x8 pixels"),
        ((3, 4, 4), (8, 8), (4.5, 4.0), "span must be inside the logit grid of 4x4 cells"),
        ((3, 4, 4), (8, 8), (0.0, 4.0), "span must be inside the logit grid of 4x4 cells"),
    ],
)
def test_what_makes_no_sense_is_refused(
    probe: Probe, shape: tuple[int, int, int], out_hw: tuple[int, int], span: tuple[float, float] | None, said: str
) -> None:
    with pytest.raises(RefusedError, match=said) as error:
        probe.from_logits(np.zeros(shape, np.float32), out_hw, span)
    assert error.value.code == probing.INVALID_ARGUMENT


@settings(max_examples=150)
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    covered=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    out_hw=st.tuples(st.integers(1, 200), st.integers(1, 200)),
)
def test_a_class_map_is_resized_like_in_python(
    probe: Probe, size: tuple[int, int], covered: tuple[float, float], out_hw: tuple[int, int]
) -> None:
    classmap = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    height, width = (max(1, round(share * length)) for share, length in zip(covered, size, strict=True))
    expected = resize_classmap(classmap[:height, :width], out_hw)
    np.testing.assert_array_equal(probe.resize(classmap, (height, width), out_hw), expected, strict=True)


def test_nothing_is_allocated_for_a_second_class_map_of_the_same_size(probe: Probe) -> None:
    classmap = np.zeros((36, 48), np.uint8)
    probe.resize(classmap, (36, 40), (99, 77))
    probe.resize(classmap, (36, 40), (99, 77))
    assert probe.allocations == 0


@pytest.mark.parametrize(
    ("covered", "out_hw"), [((0, 4), (8, 8)), ((5, 4), (8, 8)), ((4, 5), (8, 8)), ((4, 4), (8, 0))]
)
def test_a_class_map_that_makes_no_sense_is_refused(
    probe: Probe, covered: tuple[int, int], out_hw: tuple[int, int]
) -> None:
    with pytest.raises(RefusedError, match="must not be empty nor larger") as error:
        probe.resize(np.zeros((4, 4), np.uint8), covered, out_hw)
    assert error.value.code == probing.INVALID_ARGUMENT


def test_memory_that_runs_out_leaves_no_half_made_tables(probe: Probe) -> None:
    small, large = _noise(3, 5, 4), _noise(5, 12, 9)
    assert probe.recovers(lambda: probe.from_logits(small, (9, 31)), lambda: probe.from_logits(large, (70, 80))) > 5
    few, many = np.arange(12, dtype=np.uint8).reshape(3, 4), np.arange(200, dtype=np.uint8).reshape(10, 20)
    assert probe.recovers(lambda: probe.resize(few, (3, 4), (5, 8)), lambda: probe.resize(many, (9, 17), (30, 40))) > 0
