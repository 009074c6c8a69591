"""A confusion matrix as a page shows it: as a table of the classes that matter, and as a list of the worst mistakes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

_CLASSES = 24
"""More rows than this cannot be read."""
_MISTAKES = 12
_OTHERS = "all others"


@dataclasses.dataclass(frozen=True)
class Cell:
    """What becomes of one class.

    Attributes:
        share: Of the row's pixels, 0..1.
        pixels: The same as a count.
        right: Whether row and column are the same class.
    """

    share: float
    pixels: int
    right: bool


@dataclasses.dataclass(frozen=True)
class Mistake:
    """One class taken for another.

    Attributes:
        truth: The class that it is.
        predicted: The class that it was taken for.
        share: Of all pixels of `truth`, 0..1.
        pixels: The same as a count.
    """

    truth: str
    predicted: str
    share: float
    pixels: int


@dataclasses.dataclass(frozen=True)
class ConfusionTable:
    """A table with a row for each true class and a column for each predicted one.

    Attributes:
        names: Of rows and columns.
        rows: As many as names, each of as many cells.
        mistakes: Those with the most pixels, over all classes, the largest first.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    mistakes: tuple[Mistake, ...]


def confusion_table(counts: npt.NDArray[np.int64], classes: Sequence[str]) -> ConfusionTable:
    """The table of the classes that occur; of more than 24 the most frequent, and one row and column of all others.

    Args:
        counts: `(classes, classes)`: pixels by true class (rows) and predicted class (columns).
        classes: Names.
    """
    groups = _groups(counts)
    names = tuple(classes[group[0]] if len(group) == 1 else _OTHERS for group in groups)
    joined = np.array([[counts[np.ix_(row, column)].sum() for column in groups] for row in groups], np.int64)
    rows = tuple(tuple(_cells(index, row)) for index, row in enumerate(joined))
    return ConfusionTable(names, rows, tuple(_mistakes(counts, classes)))


def _cells(index: int, row: npt.NDArray[np.int64]) -> Iterator[Cell]:
    total = max(1, int(row.sum()))
    for column, pixels in enumerate(row.tolist()):
        yield Cell(pixels / total, pixels, column == index)


def _mistakes(counts: npt.NDArray[np.int64], classes: Sequence[str]) -> Iterator[Mistake]:
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    for cell in np.argsort(-wrong, axis=None, kind="stable")[:_MISTAKES].tolist():
        truth, predicted = divmod(cell, len(counts))
        if pixels := int(wrong[truth, predicted]):
            yield Mistake(classes[truth], classes[predicted], pixels / int(counts[truth].sum()), pixels)


def _groups(counts: npt.NDArray[np.int64]) -> list[list[int]]:
    """The classes that share a row, for each row."""
    occurrences = counts.sum(0) + counts.sum(1)
    order = np.argsort(-occurrences, kind="stable")[: np.count_nonzero(occurrences)].tolist()
    if len(order) <= _CLASSES:
        return [[index] for index in sorted(order)]
    return [*([index] for index in sorted(order[: _CLASSES - 1])), sorted(order[_CLASSES - 1 :])]
