from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from afformer.quantize.grid import Grid
from afformer.quantize.histogram import Histogram
from afformer.quantize.observers import TAIL, Extremes, Method, range_of, squared_error
from afformer.quantize.ranges import Range

Floats = npt.NDArray[np.float32]

pictures = st.lists(
    hnp.arrays(np.float32, st.integers(1, 30), elements=st.floats(-1000, 1000, width=32)), min_size=1, max_size=6
)


def distribution(values: npt.ArrayLike) -> Histogram:
    histogram = Histogram()
    histogram.add(np.asarray(values, np.float32))
    return histogram


def bell(count: int = 100_000) -> Floats:
    return np.random.default_rng(0).standard_normal(count).astype(np.float32)


@given(pictures)
def test_minmax_is_that_of_all_pictures_together(chunks: list[Floats]) -> None:
    extremes, histogram = Extremes(), Histogram()
    for chunk in chunks:
        extremes.add(chunk)
        histogram.add(chunk)
    everything = np.concatenate(chunks)
    expected = Range(float(everything.min()), float(everything.max()))
    assert extremes.range(Method.MINMAX) == range_of(histogram, Method.MINMAX) == expected


@given(pictures)
def test_average_is_the_mean_of_each_picture_s_ends(chunks: list[Floats]) -> None:
    extremes = Extremes()
    for chunk in chunks:
        extremes.add(chunk)
    found = extremes.range(Method.AVERAGE)
    assert found.low == pytest.approx(np.mean([chunk.min() for chunk in chunks], dtype=np.float64), abs=1e-9)
    assert found.high == pytest.approx(np.mean([chunk.max() for chunk in chunks], dtype=np.float64), abs=1e-9)


def test_one_wild_picture_moves_the_average_less_than_the_extremes() -> None:
    extremes = Extremes()
    for scale in [1] * 9 + [101]:
        extremes.add(np.array([-scale, scale], np.float32))
    assert extremes.range(Method.AVERAGE) == Range(-11, 11)
    assert extremes.range(Method.MINMAX) == Range(-101, 101)


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Extremes().add(np.array([0, np.nan], np.float32))


@given(hnp.arrays(np.float32, st.integers(1, 500), elements=st.floats(-100, 100, width=32)))
def test_percentile_gives_up_no_more_than_its_share_at_either_end(values: Floats) -> None:
    kept = range_of(distribution(values), Method.PERCENTILE)
    allowed = TAIL * len(values)
    assert np.count_nonzero(values < kept.low) <= allowed
    assert np.count_nonzero(values > kept.high) <= allowed


def test_percentile_finds_the_quantile_to_within_a_bin() -> None:
    values = bell()
    histogram = distribution(values)
    kept = range_of(histogram, Method.PERCENTILE)
    assert kept.low == pytest.approx(np.quantile(values, TAIL), abs=histogram.width)
    assert kept.high == pytest.approx(np.quantile(values, 1 - TAIL), abs=histogram.width)


def test_percentile_drops_a_single_outlier() -> None:
    kept = range_of(distribution(np.append(bell(), 50)), Method.PERCENTILE)
    assert kept.high < 5


@pytest.mark.parametrize("symmetric", [False, True])
def test_mse_is_as_good_as_the_best_of_many_ranges_on_the_values_themselves(symmetric: bool) -> None:
    values = np.append(bell(10_000), [9, -7]).astype(np.float64)
    kept = range_of(distribution(values), Method.MSE, symmetric=symmetric)

    def error(low: float, high: float) -> float:
        return squared_error(values, np.ones_like(values), Grid.over(low, high, symmetric=symmetric))

    ends = np.linspace(2, 9, 29)
    best = min(error(-low, high) for low in ends for high in ([low] if symmetric else ends))
    assert error(kept.low, kept.high) <= 1.02 * best


@given(values=hnp.arrays(np.float32, st.integers(1, 200), elements=st.floats(-100, 100, width=32)))
def test_a_searched_range_stays_inside_what_was_seen(values: Floats) -> None:
    kept = range_of(distribution(values), Method.MSE)
    assert values.min() - 1e-6 <= kept.low <= kept.high <= values.max() + 1e-6


def test_mse_keeps_all_of_a_uniform_distribution() -> None:
    values = np.random.default_rng(0).uniform(-1, 3, 100_000)
    kept = range_of(distribution(values), Method.MSE)
    assert kept.low == pytest.approx(-1, abs=0.1)
    assert kept.high == pytest.approx(3, abs=0.1)


def test_a_symmetric_search_answers_with_a_symmetric_range() -> None:
    kept = range_of(distribution(np.append(bell(), 30)), Method.MSE, symmetric=True)
    assert kept.low == -kept.high


@pytest.mark.parametrize("method", [Method.MINMAX, Method.PERCENTILE, Method.MSE])
@pytest.mark.parametrize("constant", [0.0, 5.0, -2.0])
def test_a_constant_tensor_keeps_its_value(method: Method, constant: float) -> None:
    kept = range_of(distribution(np.full(100, constant)), method)
    assert min(kept.low, 0) <= constant <= max(kept.high, 0)


def test_the_lower_end_of_what_is_never_negative_is_not_searched() -> None:
    assert range_of(distribution(np.maximum(bell(), 0)), Method.MSE).low == 0


def test_average_cannot_be_told_from_a_distribution() -> None:
    with pytest.raises(ValueError, match="pictures one by one"):
        range_of(distribution([1.0]), Method.AVERAGE)


def test_nothing_seen_has_no_range() -> None:
    with pytest.raises(ValueError, match="at least one"):
        range_of(Histogram(), Method.MINMAX)
