from __future__ import annotations

import numpy as np
import numpy.typing as npt

from afformer.runtime.workspace import Workspace


def test_the_same_name_gives_the_same_memory() -> None:
    work = Workspace()
    first = work.array("a", (3, 4), np.float32)
    first.fill(7)
    assert np.shares_memory(work.array("a", (3, 4), np.float32), first)
    assert (work.array("a", (12,), np.float32) == 7).all()
    assert work.nbytes == 48


def test_a_smaller_array_lives_in_the_memory_of_the_larger_one() -> None:
    work = Workspace()
    large = work.array("a", (100,), np.int64)
    small = work.array("a", (5, 2), np.uint8)
    assert np.shares_memory(small, large)
    assert np.shares_memory(work.array("a", (100,), np.int64), large)


def test_names_do_not_share_memory() -> None:
    work = Workspace()
    assert not np.shares_memory(work.array("a", (9,), np.uint8), work.array("b", (9,), np.uint8))


def test_shape_and_type_are_those_asked_for_also_when_empty() -> None:
    wanted: tuple[tuple[tuple[int, ...], npt.DTypeLike], ...] = (
        ((2, 3), np.intp),
        ((0, 4), np.float32),
        ((), np.bool_),
    )
    for shape, dtype in wanted:
        array = Workspace().array("a", shape, dtype)
        assert (array.shape, array.dtype, array.flags.c_contiguous) == (shape, dtype, True)
