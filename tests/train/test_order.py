from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from afformer.train.order import Order


@given(pictures=st.integers(1, 20), seed=st.integers(0, 5), start=st.integers(0, 100))
def test_an_order_can_be_entered_anywhere(pictures: int, seed: int, start: int) -> None:
    whole = list(itertools.islice(Order(pictures, seed), start + 30))
    assert list(itertools.islice(Order(pictures, seed, start), 30)) == whole[start:]


@given(pictures=st.integers(1, 20), batch=st.integers(1, 30))
def test_every_picture_comes_once_an_epoch_however_large_the_batch(pictures: int, batch: int) -> None:
    groups = itertools.islice(Order(pictures, seed=0).batches(batch), pictures)
    indices = list(itertools.chain.from_iterable(groups))
    for epoch in range(batch):
        assert sorted(indices[epoch * pictures : (epoch + 1) * pictures]) == list(range(pictures))


def test_epochs_and_seeds_differ() -> None:
    first, second = (list(itertools.islice(Order(50, seed), 100)) for seed in (0, 1))
    assert first[:50] != first[50:] != second[:50] != first[:50]
