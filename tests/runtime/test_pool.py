from __future__ import annotations

import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from afformer.runtime.pool import Pool


def test_one_borrower_after_the_other_gets_the_same_object() -> None:
    pool = Pool(object)
    with pool.lent() as first:
        pass
    with pool.lent() as second:
        assert second is first


def test_borrowers_at_the_same_time_get_different_objects() -> None:
    pool = Pool(object)
    with pool.lent() as first, pool.lent() as second:
        assert first is not second


def test_an_object_is_given_back_after_an_error() -> None:
    pool = Pool(object, at_most=1)
    with pytest.raises(KeyError), pool.lent() as first:
        raise KeyError
    with pool.lent() as second:
        assert second is first


def test_many_threads_share_no_more_objects_than_allowed() -> None:
    numbers = itertools.count()
    pool = Pool(lambda: next(numbers), at_most=3)
    together = threading.Barrier(8, timeout=60)

    def borrow(_: int) -> int:
        together.wait()
        with pool.lent() as number:
            return number

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(borrow, range(8))) <= {0, 1, 2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_what_another_thread_had_borrowed_at_a_fork_does_not_block_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(object, at_most=1)
    with pool.lent():
        monkeypatch.setattr(os, "getpid", lambda: -1)
        with pool.lent() as second:
            assert second is not None
