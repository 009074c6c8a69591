"""The score against labels, and what it would be under other readings of their ids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from afformer.counts import pair_counts
from afformer.datasets import IGNORE, Dataset
from afformer.measure.metrics import ConfusionMatrix
from afformer.measure.pictures import PictureScore
from afformer.measure.tables import percent
from afformer.measure.truth import Truth

FAR_HIGHER = 0.10
"""An alternative reading is reported if it raises the mIoU by this much."""
_OFFSETS = (-1, 0, 1)
_IDS = 256
_COUNTED = 0.5
"""An alternative reading must give a class to at least this share of the pixels that are counted now."""


class LabelScores:
    """Counts predictions by true class and by stored id.

    Args:
        dataset: What the labels mean.

    Attributes:
        dataset: What the labels mean.
        confusion: By the labels' meaning.
        pictures: How many were counted.
        by_picture: The share of right pixels of each picture that has labelled ones.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.confusion = ConfusionMatrix(dataset.num_classes)
        self._by_colours = ConfusionMatrix(dataset.num_classes)
        self._as_shown, self._as_stored = ConfusionMatrix(dataset.num_classes), ConfusionMatrix(dataset.num_classes)
        self._turned = 0
        self._by_id = np.zeros((_IDS, dataset.num_classes), np.int64)
        self.by_picture: list[PictureScore] = []
        self.pictures = self._from_colours = 0

    def add(self, picture: Path, truth: Truth, predicted: npt.NDArray[np.integer]) -> None:
        """Counts one picture."""
        self.confusion.add(truth.classes, predicted)
        self.pictures += 1
        self._from_colours += truth.by_colours
        labelled = truth.classes != IGNORE
        if labelled.any():
            self.by_picture.append(PictureScore(picture, float((truth.classes == predicted)[labelled].mean())))
        if truth.colours_say is not None:
            self._by_colours.add(truth.colours_say, predicted)
        if truth.if_turned is not None:
            self._turned += 1
            self._as_shown.add(truth.classes, predicted)
            self._as_stored.add(truth.if_turned, predicted)
        if truth.ids is not None:
            small = truth.ids < _IDS
            self._by_id += pair_counts(truth.ids[small], predicted[small], self._by_id.shape)

    def notes(self) -> tuple[str, ...]:
        """How labels were read, and which reading would score far higher, one sentence each."""
        return tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        if self._from_colours:
            yield f"{_labels(self._from_colours, self.pictures)} read by colours, through the palette."
        if self.dataset.num_classes == 2 and self.dataset.labels[0].ids == (0, IGNORE):
            yield f"The labels hold 0 and 255 alone: 255 was read as class 1, {self.dataset.classes[1]}."
        if ignored := self.pictures - len(self.by_picture):
            yield f"{_labels(ignored, self.pictures)} ignored as a whole."
        shown, stored = (np.nan_to_num(counted.miou) for counted in (self._as_shown, self._as_stored))
        if stored > shown + FAR_HIGHER:
            yield (
                f"EXIF turns {_pictures(self._turned)}, and the labels seem to be drawn on what is stored: mIoU is "
                f"{percent(shown)} there, but would be {percent(stored)} with the labels turned, too; turn them, or "
                "take the orientation out of the pictures."
            )
        better = max(self._alternatives(), default=None)
        if better and better[0] > np.nan_to_num(self.confusion.miou) + FAR_HIGHER:
            yield (
                f"The ids of the labels look shifted: mIoU is {percent(self.confusion.miou)}, but would be "
                f"{percent(better[0])} {better[1]}."
            )

    def _alternatives(self) -> Iterator[tuple[float, str]]:
        """The mIoU of each other reading, and how to get it."""
        readings = [(f"with `label_offset={offset}`", self._shifted(offset)) for offset in _OFFSETS]
        readings.append(("if they were read through the palette: give no label options", self._by_colours))
        least = _COUNTED * self.confusion.counts.sum()
        for remedy, counted in readings:
            if counted.counts.any() and counted.counts.sum() >= least:
                yield counted.miou, remedy

    def _shifted(self, offset: int) -> ConfusionMatrix:
        """With `offset` added to the stored ids; ids that are then no class are not counted."""
        found = ConfusionMatrix(self.dataset.num_classes)
        ids = np.arange(found.num_classes) - offset
        there = (ids >= 0) & (ids < IGNORE)
        found.counts[there] = self._by_id[ids[there]]
        return found


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"


def _labels(count: int, total: int) -> str:
    return f"{count} of {total} labels {'was' if count == 1 else 'were'}"
