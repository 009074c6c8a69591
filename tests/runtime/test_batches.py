"""Pictures in groups."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afformer.runtime import Segmenter
from afformer.runtime.batches import BatchSegmenter, groups
from tests.builders.fake_backend import FakeBackend
from tests.builders.tiny_onnx import SPEC
from tests.builders.videos import by_brightness


@given(st.lists(st.integers()), st.integers(1, 9))
def test_everything_comes_once_and_in_order_and_only_the_last_group_is_smaller(items: list[int], size: int) -> None:
    found = list(groups(iter(items), size))
    assert [item for group in found for item in group] == items
    assert all(len(group) == size for group in found[:-1])
    assert all(1 <= len(group) <= size for group in found)


def test_what_came_before_an_error_comes_before_it() -> None:
    def broken() -> Iterator[int]:
        yield from range(5)
        raise OSError("unplugged")

    found = groups(broken(), 3)
    assert [next(found), next(found)] == [[0, 1, 2], [3, 4]]
    with pytest.raises(OSError, match="unplugged"):
        next(found)


def test_nothing_is_fetched_before_it_is_asked_for() -> None:
    items = iter(range(10))
    next(groups(items, 3))
    assert next(items) == 3


def test_a_segmenter_takes_batches_and_a_function_does_not() -> None:
    assert isinstance(Segmenter(FakeBackend(SPEC)), BatchSegmenter)
    assert not isinstance(by_brightness, BatchSegmenter)
