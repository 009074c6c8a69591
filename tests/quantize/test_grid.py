from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afformer.quantize.grid import Grid, Kind, quantize_bias, quantize_weight, scales_for_bias

ENDS = st.tuples(st.floats(-1e4, 1e4, width=32), st.floats(-1e4, 1e4, width=32)).map(
    lambda ends: (min(ends), max(ends))
)
KINDS = st.sampled_from(Kind)


@given(ENDS, KINDS, st.booleans(), st.integers(0, 2**32 - 1))
def test_inside_the_range_nothing_moves_by_more_than_half_a_step(
    ends: tuple[float, float], kind: Kind, symmetric: bool, seed: int
) -> None:
    grid = Grid.over(*ends, kind, symmetric)
    values = ends[0] + np.random.default_rng(seed).random(64) * (ends[1] - ends[0])
    # the zero point is rounded, so the ends of the range may lie half a step outside the grid
    inside = values[(values >= grid.low) & (values <= grid.high)]
    moved = np.abs(grid.rounded(inside) - inside)
    assert (moved <= grid.scale * 0.5 + 1e-6 * np.abs(inside).max(initial=0)).all()


@given(ENDS, KINDS, st.booleans())
def test_the_grid_covers_the_range_to_half_a_step(ends: tuple[float, float], kind: Kind, symmetric: bool) -> None:
    grid = Grid.over(*ends, kind, symmetric)
    slack = grid.scale * 0.5001
    assert grid.low <= min(ends[0], 0) + slack
    assert grid.high >= max(ends[1], 0) - slack


@given(ENDS, KINDS, st.booleans())
def test_zero_stays_zero_because_convolutions_pad_with_it(
    ends: tuple[float, float], kind: Kind, symmetric: bool
) -> None:
    grid = Grid.over(*ends, kind, symmetric)
    assert grid.rounded(0.0) == 0
    assert kind.lowest <= grid.zero_point <= kind.highest


@given(ENDS)
def test_a_symmetric_signed_grid_has_zero_point_zero(ends: tuple[float, float]) -> None:
    assert Grid.over(*ends, Kind.S8, symmetric=True).zero_point == 0


def test_worked_examples() -> None:
    assert Grid.over(-1, 4, Kind.U8) == Grid(float(np.float32(5 / 255)), 51, Kind.U8)
    assert Grid.over(-1, 4, Kind.S8, symmetric=True) == Grid(float(np.float32(4 / 127)), 0, Kind.S8)
    assert Grid.over(2, 4, Kind.U8).zero_point == 0


def test_values_outside_the_range_become_its_ends_and_do_not_wrap() -> None:
    grid = Grid.over(0, 6)
    np.testing.assert_array_equal(grid.rounded([-100.0, 100.0]), [grid.low, grid.high])
    assert grid.rounded([7.0]) == pytest.approx(6)


@pytest.mark.parametrize("kind", Kind)
def test_a_tensor_of_zeros_survives(kind: Kind) -> None:
    grid = Grid.over(0, 0, kind)
    assert grid.rounded(np.zeros(3)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("ends", [(1.0, 0.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_ends_that_are_not_a_range_are_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="a range must be finite with low <= high"):
        Grid.over(*ends)


@given(st.integers(0, 2**32 - 1), st.sampled_from([7, 8]), st.sampled_from([0, 1, -1]))
def test_each_output_channel_of_a_weight_has_the_accuracy_of_its_own_largest_value(
    seed: int, bits: int, axis: int
) -> None:
    random = np.random.default_rng(seed)
    weight = (random.normal(size=(6, 6)) * 10.0 ** random.integers(-6, 6, (6, 1))).astype(np.float32)
    quantized = quantize_weight(np.moveaxis(weight, 0, axis), axis, bits)
    error = np.abs(np.moveaxis(quantized.dequantize(), axis, 0) - weight)
    limit = 2 ** (bits - 1) - 1
    assert np.abs(quantized.integers.astype(int)).max() <= 127
    assert (error <= np.abs(weight).max(axis=1, keepdims=True) / limit * 0.5001).all()


@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from(["normal", "heavy", "positive", "equal"]),
)
def test_no_two_neighbouring_products_of_seven_bit_weights_leave_sixteen_bits(
    seed: int, shape: tuple[int, int, int, int], kind: str
) -> None:
    random = np.random.default_rng(seed)
    drawn = {
        "normal": random.normal(size=shape),
        "heavy": random.standard_cauchy(shape),
        "positive": random.random(shape),
    }
    weight = drawn.get(kind, np.full(shape, 1 / 3)).astype(np.float32)
    integers = quantize_weight(weight, bits=7).integers.astype(int)
    channels_last = integers.transpose(0, 2, 3, 1)
    for rows in (channels_last.reshape(shape[0], -1), channels_last.reshape(-1, shape[1])):
        pairs = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2))).reshape(-1, 2)
        assert 255 * np.maximum(pairs, 0).sum(axis=1).max() < 2**15
        assert 255 * np.minimum(pairs, 0).sum(axis=1).min() >= -(2**15)


def test_seven_bit_weights_use_eight_bits_where_no_large_neighbours_have_one_sign() -> None:
    weight = np.array([[1.0, -1.0, 0.0, 1.0], [1.0, 1.0, 0.5, 0.0]], np.float32)
    assert quantize_weight(weight, bits=7).integers.tolist() == [[127, -127, 0, 127], [64, 64, 32, 0]]


def test_a_channel_of_zeros_stays_zero_as_padded_channels_must() -> None:
    weight = quantize_weight(np.array([[0.0, 0.0], [1.0, 2.0]], np.float32))
    np.testing.assert_array_equal(weight.dequantize()[0], [0, 0])


def test_a_bias_is_counted_in_steps_of_the_accumulator() -> None:
    steps = quantize_bias([0.5, -0.5], 0.1, np.array([0.1, 0.5], np.float32))
    np.testing.assert_array_equal(steps, np.array([50, -10], np.int32))


def test_a_bias_that_does_not_fit_is_never_clipped_in_silence() -> None:
    with pytest.raises(ValueError, match=r"a bias of 1e\+32 steps does not fit int32"):
        quantize_bias([1e30], 0.1, np.array([0.1], np.float32))


@given(st.integers(0, 2**32 - 1), st.sampled_from([7, 8]), st.floats(1e-6, 1e3), st.integers(-38, 3))
def test_whatever_the_weights_of_a_channel_its_bias_is_kept(seed: int, bits: int, scale: float, exponent: int) -> None:
    random = np.random.default_rng(seed)
    weight = (random.normal(size=(5, 8)) * 10.0 ** random.integers(exponent, 4, (5, 1))).astype(np.float32)
    bias = random.normal(size=5) * 10.0 ** random.integers(-3, 3, 5)
    quantized = quantize_weight(weight, bits=bits, smallest=scales_for_bias(bias, scale))
    unit = scale * quantized.scales.astype(np.float64)
    kept = quantize_bias(bias, scale, quantized.scales) * unit
    assert (np.abs(kept - bias) <= unit / 2 + 1e-6 * np.abs(bias)).all()
    usual = np.abs(weight).max(axis=1) / (2 ** (bits - 1) - 1)
    moved = np.abs(quantized.dequantize() - weight).max(axis=1) * 255 * scale
    assert (moved <= 1.001 * np.maximum(usual * 255 * scale / 2, 1e-6 * np.abs(bias))).all()
