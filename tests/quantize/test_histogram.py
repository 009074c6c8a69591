from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from afformer.quantize.histogram import Histogram

values = hnp.arrays(
    np.float32,
    st.integers(1, 40),
    elements=st.floats(-(2.0**60), 2.0**60, width=32, allow_subnormal=False),
)


def histogram_of(*chunks: npt.NDArray[np.floating], bins: int = 64) -> Histogram:
    histogram = Histogram(bins)
    for chunk in chunks:
        histogram.add(chunk)
    return histogram


@given(st.lists(values, min_size=1, max_size=5))
def test_counts_are_those_of_all_values_at_once(chunks: list[npt.NDArray[np.float32]]) -> None:
    histogram = histogram_of(*chunks)
    everything = np.concatenate(chunks).astype(np.float64)
    expected = np.bincount(
        np.searchsorted(histogram.edges, everything, side="right") - 1, minlength=len(histogram.counts)
    )
    np.testing.assert_array_equal(histogram.counts, expected)


@given(st.lists(values, min_size=2, max_size=5), st.randoms())
def test_the_order_of_the_pictures_does_not_matter(chunks: list[npt.NDArray[np.float32]], random: object) -> None:
    shuffled = list(chunks)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = histogram_of(*chunks), histogram_of(*shuffled)
    np.testing.assert_array_equal(first.counts, second.counts)
    np.testing.assert_array_equal(first.edges, second.edges)
    assert (first.low, first.high) == (second.low, second.high)


@given(values)
def test_no_more_bins_are_used_than_allowed_and_at_least_half_unless_values_are_nearly_equal_or_tiny(
    chunk: npt.NDArray[np.float32],
) -> None:
    histogram = histogram_of(chunk)
    span, magnitude = float(chunk.max()) - float(chunk.min()), float(np.abs(chunk).max())
    assert len(histogram.counts) <= 64
    if span > magnitude / 1000 and span > 2.0**-80:
        assert len(histogram.counts) >= 64 // 2 - 1


@given(values)
def test_extremes_are_exact_and_lie_in_the_outermost_bins(chunk: npt.NDArray[np.float32]) -> None:
    histogram = histogram_of(chunk)
    assert (histogram.low, histogram.high) == (chunk.min(), chunk.max())
    assert histogram.edges[0] <= histogram.low < histogram.edges[1]
    assert histogram.edges[-2] <= histogram.high < histogram.edges[-1]


@settings(max_examples=20)
@given(st.integers(1, 30))
def test_memory_does_not_grow_with_the_number_of_pictures(pictures: int) -> None:
    histogram = Histogram(32)
    before = sum(array.nbytes for array in vars(histogram).values() if isinstance(array, np.ndarray))
    for seed in range(pictures):
        histogram.add(np.random.default_rng(seed).standard_normal(100) * 3**seed)
    after = sum(array.nbytes for array in vars(histogram).values() if isinstance(array, np.ndarray))
    assert (after, histogram.total) == (before, 100 * pictures)


def test_zero_lies_on_the_border_of_a_bin() -> None:
    assert 0.0 in histogram_of(np.array([-0.3, 0.7], np.float32)).edges


def test_zeros_before_other_values_keep_their_bin() -> None:
    histogram = histogram_of(np.zeros(7, np.float32), np.array([1e6], np.float32))
    assert histogram.counts[0] == 7
    assert histogram.edges[0] == 0


def test_more_values_than_are_counted_at_a_time_are_all_counted() -> None:
    assert histogram_of(np.ones(300_000, np.float32)).total == 300_000


def test_half_precision_and_any_shape_are_counted() -> None:
    histogram = histogram_of(np.array([[1, 2], [3, 4]], np.float16), np.zeros((0, 3), np.float32))
    assert (histogram.total, histogram.low, histogram.high) == (4, 1.0, 4.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        histogram_of(np.array([0, bad], np.float32))


def test_an_empty_histogram_has_no_bins() -> None:
    histogram = Histogram()
    assert (histogram.total, len(histogram.counts)) == (0, 0)


def test_one_bin_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 bins"):
        Histogram(1)
