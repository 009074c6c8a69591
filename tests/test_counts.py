"""Counts of class ids, which must not depend on where the parts end."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from afformer import counts
from afformer.counts import id_counts, pair_counts


@pytest.fixture(params=[1, 7, 1 << 22])
def part(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "_PART", request.param)


@pytest.mark.usefixtures("part")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_ids_are_counted(dtype: type[np.integer]) -> None:
    ids = np.array([[0, 2, 2], [5, 0, 0]], dtype)
    assert id_counts(ids, 7).tolist() == [3, 0, 2, 0, 0, 1, 0]
    assert id_counts(ids[:, :0], 2).tolist() == [0, 0]


@pytest.mark.usefixtures("part")
@pytest.mark.parametrize("shape", [(3, 4), (256, 400)])
def test_pairs_are_counted(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, shape[0], (5, 9), np.uint8), rng.integers(0, shape[1], (5, 9)).astype(np.int32)
    expected = np.zeros(shape, np.int64)
    np.add.at(expected, (first, second), 1)
    assert (pair_counts(first, second, shape) == expected).all()


def test_many_ids_of_one_byte_take_little_memory() -> None:
    ids = np.ones(3 << 23, np.uint8)
    tracemalloc.start()
    assert id_counts(ids, 2).tolist() == [0, ids.size]
    assert pair_counts(ids, ids, (2, 2)).tolist() == [[0, 0], [0, ids.size]]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * ids.nbytes  # all of them at once would take 8 times as much
