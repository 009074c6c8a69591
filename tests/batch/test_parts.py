"""Pictures in parts."""

from __future__ import annotations

import pytest

pytest.importorskip("pyarrow", reason="Parquet needs the extra `ray`")

from afformer.batch.items import Item
from afformer.batch.parts import missing_parts, part_size
from afformer.batch.results import Done

ITEMS = [Item(f"/{number}.jpg") for number in range(10)]


def test_parts_hold_every_picture_once() -> None:
    parts = missing_parts(ITEMS, {}, 4)
    assert [item for part in parts for item in part.items] == ITEMS
    assert len({part.name for part in parts}) == 3


def test_a_rerun_makes_the_parts_that_are_missing_under_the_same_names() -> None:
    parts = missing_parts(ITEMS, {}, 4)
    done = {item.key: Done(parts[1].name, None) for item in parts[1].items}
    assert missing_parts(ITEMS, done, 4) == [parts[0], parts[2]]


def test_new_pictures_beside_old_ones_make_parts_of_other_names() -> None:
    parts = missing_parts(ITEMS[:9], {}, 4)
    done = {item.key: Done(part.name, None) for part in parts for item in part.items}
    (new,) = missing_parts(ITEMS, done, 4)
    assert new.items == (ITEMS[9],)
    assert new.name not in {part.name for part in parts}


@pytest.mark.parametrize(("items", "workers", "size"), [(1, 8, 1), (80, 2, 10), (100_000, 4, 256)])
def test_parts_are_small_enough_for_all_workers(items: int, workers: int, size: int) -> None:
    assert part_size(items, workers, 256) == size
