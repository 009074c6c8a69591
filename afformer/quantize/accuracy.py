"""How accurate a model is: against the labels if there are any, and against the float model's class maps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from afformer.datasets import Dataset
from afformer.errors import ImageError
from afformer.images import ClassMap, read_image
from afformer.measure.label_scores import LabelScores
from afformer.measure.metrics import ConfusionMatrix, pixel_agreement
from afformer.measure.pictures import Failure, PictureScore, Segment, read_all, worst_pictures
from afformer.measure.truth import read_labelled, read_labelled_truth
from afformer.progress import no_progress


@dataclasses.dataclass(frozen=True)
class Validation:
    """Pictures to measure on.

    Attributes:
        pictures: Paths of readable pictures.
        labels: The label of each picture; empty if there are none.
        dataset: What the labels mean; needed with labels.
    """

    pictures: tuple[Path, ...]
    labels: tuple[Path, ...] = ()
    dataset: Dataset | None = None

    def __post_init__(self) -> None:
        if not self.pictures:
            raise ImageError("there are no pictures to measure accuracy on; expected one or more")
        if self.labels and (len(self.labels) != len(self.pictures) or self.dataset is None):
            raise ImageError(
                f"{len(self.pictures)} pictures came with {len(self.labels)} labels; expected one each, and a data set"
            )


def usable(validation: Validation) -> tuple[Validation, tuple[Failure, ...]]:
    """The pictures, with their labels, that can be read, and what is wrong with the others.

    Raises:
        ImageError: None of them can be used.
    """
    dataset, failures = validation.dataset, list[Failure]()

    def read(*paths: Path) -> tuple[Path, ...]:
        if dataset and validation.labels:
            read_labelled(dataset, *paths)
        else:
            read_image(paths[0])
        return paths

    columns = [validation.pictures, validation.labels] if validation.labels else [validation.pictures]
    items: list[tuple[Path, ...]] = list(zip(*columns, strict=True))
    found = list(read_all(items, read, failures, no_progress))
    if not found:
        raise ImageError(f"none of {len(failures)} validation pictures can be used; the first: {failures[0].reason}")
    pictures, labels = tuple(paths[0] for paths in found), tuple(label for _, *rest in found for label in rest)
    return dataclasses.replace(validation, pictures=pictures, labels=labels), tuple(failures)


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """What was measured; all shares are 0..1.

    Attributes:
        agreement: Share of pixels with the float model's class.
        worst_picture: The picture where that share is smallest.
        worst_agreement: The share there.
        miou: Mean IoU against the labels; None without labels.
        per_class_iou: IoU of each class against the labels, or without labels against the float model's class maps;
            nan for classes that do not occur.
        pictures: Number of pictures.
        worst_pictures: Those where the share is smallest, the smallest first.
    """

    agreement: float
    worst_picture: Path
    worst_agreement: float
    miou: float | None
    per_class_iou: tuple[float, ...]
    pictures: int
    worst_pictures: tuple[PictureScore, ...] = ()


class Evaluator:
    """Measures models on the validation pictures, with the float model's class maps as reference.

    Args:
        validation: The pictures; they are read again for every model, none is kept.
        reference: The float model.
        num_classes: Number of classes.

    Attributes:
        reference: The float model's own accuracy.
        label_notes: How the labels were read, and what would score far higher, one sentence each.

    Raises:
        ImageError: A picture or label cannot be read, the two differ in size, or every label is ignored as a whole.
    """

    def __init__(self, validation: Validation, reference: Segment, num_classes: int) -> None:
        self.validation = validation
        self._classes = num_classes
        self._maps = [np.array(reference(read_image(path))) for path in validation.pictures]
        self.reference = self._measured(self._maps)
        self.label_notes = self._read_labels()

    def measure(self, segment: Segment) -> Accuracy:
        """The accuracy of a model."""
        return self._measured(segment(read_image(path)) for path in self.validation.pictures)

    def reference_map(self, picture: Path) -> ClassMap:
        """The float model's class map of a validation picture."""
        return self._maps[self.validation.pictures.index(picture)]

    def drop(self, accuracy: Accuracy) -> float:
        """Points lost: of mIoU if there are labels, otherwise of pixel agreement. Negative if points were gained."""
        if accuracy.miou is None or self.reference.miou is None:
            return 100 * (1 - accuracy.agreement)
        return 100 * (self.reference.miou - accuracy.miou)

    def _read_labels(self) -> tuple[str, ...]:
        validation = self.validation
        if not validation.labels:
            return ()
        assert validation.dataset is not None, "Validation refuses labels without a data set"
        seen = LabelScores(validation.dataset)
        for picture, label, found in zip(validation.pictures, validation.labels, self._maps, strict=True):
            seen.add(picture, read_labelled_truth(validation.dataset, picture, label)[1], found)
        if not seen.confusion.counts.any():
            raise ImageError(
                f"{validation.labels[0].parent}: not one pixel of {seen.pictures} labels has a class; check that they "
                "are labels, and what `label_offset`, `label_map` and `ignore_label` say"
            )
        return seen.notes()

    def _measured(self, maps: Iterable[ClassMap]) -> Accuracy:
        against_float = ConfusionMatrix(self._classes, ignore=None)
        against_truth = ConfusionMatrix(self._classes) if self.validation.labels else None
        scores = []
        for index, found in enumerate(maps):
            against_float.add(self._maps[index], found)
            agreement = pixel_agreement(self._maps[index], found)
            scores.append(PictureScore(self.validation.pictures[index], agreement))
            if against_truth is not None:
                against_truth.add(self._truth(index), found)
        worst = worst_pictures(scores)
        return Accuracy(
            agreement=against_float.pixel_accuracy,
            worst_picture=worst[0].picture,
            worst_agreement=worst[0].score,
            miou=against_truth.miou if against_truth is not None else None,
            per_class_iou=tuple((against_truth or against_float).per_class_iou.tolist()),
            pictures=len(self._maps),
            worst_pictures=worst,
        )

    def _truth(self, index: int) -> ClassMap:
        assert self.validation.dataset is not None, "Validation refuses labels without a data set"
        picture, label = self.validation.pictures[index], self.validation.labels[index]
        return read_labelled(self.validation.dataset, picture, label)[1]
