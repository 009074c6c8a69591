"""How often numbers occur, a part of them at a time: `np.bincount` takes eight bytes for each of its numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.integer]
_PART = 1 << 22
"""Numbers that are counted at a time."""


def id_counts(ids: Ids, length: int) -> npt.NDArray[np.int64]:
    """How often each number occurs.

    Args:
        ids: Numbers from 0 up to `length - 1`, of any shape.
        length: Length of the result.

    Returns:
        `(length,)` int64.
    """
    flat, found = ids.reshape(-1), np.zeros(length, np.int64)
    for part in _parts(flat.size):
        found += np.bincount(flat[part], minlength=length)
    return found


def pair_counts(first: Ids, second: Ids, shape: tuple[int, int]) -> npt.NDArray[np.int64]:
    """How often each pair of numbers occurs at the same place.

    Args:
        first: Numbers from 0 up to `shape[0] - 1`, of any shape.
        second: Numbers from 0 up to `shape[1] - 1`, of the same shape.
        shape: Shape of the result.

    Returns:
        `shape` int64.
    """
    rows, columns = shape
    narrow: type[np.integer] = np.uint16 if rows * columns <= 1 << 16 else np.int64
    one, other, found = first.reshape(-1), second.reshape(-1), np.zeros(rows * columns, np.int64)
    for part in _parts(one.size):
        cells = one[part].astype(narrow) * columns + other[part].astype(narrow)
        found += np.bincount(cells, minlength=rows * columns)
    return found.reshape(shape)


def _parts(size: int) -> Iterator[slice]:
    return (slice(start, start + _PART) for start in range(0, size, _PART))
