"""A segmenter against a labelled data set, or against another segmenter.

A segmenter is anything that takes a picture, `(H, W, 3)` uint8 RGB, and gives its class map, `(H, W)` class ids. One
that is a `BatchSegmenter` as well is given as many pictures at a time as it takes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from afformer.datasets import IGNORE, Dataset
from afformer.errors import ImageError
from afformer.images import ClassMap, RGBImage, read_image, read_label
from afformer.measure.metrics import ConfusionMatrix, pixel_agreement
from afformer.runtime.batches import BatchSegmenter, groups

Segment = Callable[[RGBImage], ClassMap]
T = TypeVar("T")


class Progress(Protocol):
    """Wraps a sequence to show how far it is, as tqdm does."""

    def __call__(self, items: Sequence[T], /) -> Iterable[T]:
        """The same items, in order."""
        ...


def silent(items: Sequence[T], /) -> Iterable[T]:
    """The progress that nobody sees."""
    return items


@dataclasses.dataclass(frozen=True)
class Failure:
    """A picture that could not be used.

    Attributes:
        picture: Its path.
        reason: One line that names the file.
    """

    picture: Path
    reason: str


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        miou: Mean IoU, 0..1, over the classes that occur; nan if no picture could be used.
        per_class_iou: IoU by class name, in the data set's order; nan for classes that do not occur.
        pixel_accuracy: Share of the labelled pixels that are right, 0..1.
        pictures: Number of pictures that were used.
        failures: Those that were not.
    """

    miou: float
    per_class_iou: dict[str, float]
    pixel_accuracy: float
    pictures: int
    failures: tuple[Failure, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`; nan becomes None."""
        return {
            "miou": _number(self.miou),
            "pixel_accuracy": _number(self.pixel_accuracy),
            "per_class_iou": {name: _number(iou) for name, iou in self.per_class_iou.items()},
            "pictures": self.pictures,
            "failures": _failures_json(self.failures),
        }

    def to_table(self) -> str:
        """Lines for people: one a class, then the summary. Percentages."""
        rows = [(name, _percent(iou)) for name, iou in self.per_class_iou.items()]
        total = [("mIoU", _percent(self.miou)), ("pixel accuracy", _percent(self.pixel_accuracy))]
        return _table([("class", "IoU %"), *rows], [*total, ("pictures", str(self.pictures))])


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What `compare` found; `a` is taken for the truth.

    Attributes:
        pixel_agreement: Share of all pixels, 0..1, where both give the same class; nan if no picture could be used.
        worst_picture: The picture where they agree least, or None.
        worst_agreement: Their agreement there, 0..1.
        miou: Mean IoU of `b` with `a`'s class maps as the truth.
        per_class_iou: The same by class name; nan for classes that neither saw.
        pictures: Number of pictures that were used.
        failures: Those that were not.
    """

    pixel_agreement: float
    worst_picture: Path | None
    worst_agreement: float
    miou: float
    per_class_iou: dict[str, float]
    pictures: int
    failures: tuple[Failure, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`; nan becomes None."""
        return {
            "pixel_agreement": _number(self.pixel_agreement),
            "worst_picture": str(self.worst_picture) if self.worst_picture else None,
            "worst_agreement": _number(self.worst_agreement),
            "miou": _number(self.miou),
            "per_class_iou": {name: _number(iou) for name, iou in self.per_class_iou.items()},
            "pictures": self.pictures,
            "failures": _failures_json(self.failures),
        }

    def to_table(self) -> str:
        """Lines for people. Percentages; three decimals, because good artifacts agree nearly everywhere."""
        worst = f" ({self.worst_picture.name})" if self.worst_picture else ""
        rows = [
            ("pixel agreement", _percent(self.pixel_agreement, 3)),
            ("worst picture", _percent(self.worst_agreement, 3) + worst),
            ("mIoU, A as truth", _percent(self.miou, 3)),
            ("pictures", str(self.pictures)),
        ]
        return _table([("measure", "B against A, %")], rows)


def evaluate(
    segment: Segment, pairs: Sequence[tuple[Path, Path]], dataset: Dataset, progress: Progress = silent
) -> Evaluation:
    """Measures a segmenter on labelled pictures. A picture that cannot be read is reported and left out.

    Args:
        segment: Gives class ids of `dataset`, at the picture's own size.
        pairs: (picture, label) paths, as `afformer.datasets.pairs` finds them.
        dataset: What the labels mean.
        progress: Shows progress over the pairs.

    Raises:
        ImageError: There are more classes than labels can tell apart.
    """
    if dataset.num_classes > IGNORE:
        raise ImageError(f"labels tell at most {IGNORE} classes apart, but {dataset.title} has {dataset.num_classes}")
    confusion = ConfusionMatrix(dataset.num_classes)
    failures: list[Failure] = []
    for group in groups(_labelled(progress(pairs), dataset, failures), _batch(segment)):
        classmaps = _classmaps(segment, [image for image, _ in group])
        for (_, truth), classmap in zip(group, classmaps, strict=True):
            confusion.add(truth, classmap)
    return Evaluation(
        miou=confusion.miou,
        per_class_iou=_by_name(confusion, dataset.classes),
        pixel_accuracy=confusion.pixel_accuracy,
        pictures=len(pairs) - len(failures),
        failures=tuple(failures),
    )


def compare(
    segment_a: Segment,
    segment_b: Segment,
    images: Sequence[Path],
    classes: Sequence[str],
    progress: Progress = silent,
) -> Comparison:
    """Measures how far two segmenters agree on the same pictures. One that cannot be read is reported and left out.

    Args:
        segment_a: The reference.
        segment_b: What is compared with it.
        images: Picture paths.
        classes: The class names that both know.
        progress: Shows progress over the pictures.
    """
    confusion = ConfusionMatrix(len(classes), ignore=None)
    failures: list[Failure] = []
    agreements: list[tuple[float, Path]] = []
    for group in groups(_readable(progress(images), failures), max(_batch(segment_a), _batch(segment_b))):
        pictures = [image for image, _ in group]
        both = _classmaps(segment_a, pictures), _classmaps(segment_b, pictures)
        for (_, path), a, b in zip(group, *both, strict=True):
            confusion.add(a, b)
            agreements.append((pixel_agreement(a, b), path))
    worst, where = min(agreements, default=(math.nan, None))
    return Comparison(
        pixel_agreement=confusion.pixel_accuracy,
        worst_picture=where,
        worst_agreement=worst,
        miou=confusion.miou,
        per_class_iou=_by_name(confusion, classes),
        pictures=len(agreements),
        failures=tuple(failures),
    )


def _labelled(
    pairs: Iterable[tuple[Path, Path]], dataset: Dataset, failures: list[Failure]
) -> Iterator[tuple[RGBImage, ClassMap]]:
    """Pictures with their true class maps; what cannot be used is added to the failures."""
    for picture, label in pairs:
        try:
            image = read_image(picture)
            truth = dataset.train_ids(read_label(label), label)
            if truth.shape != image.shape[:2]:
                raise ImageError(f"{label}: is {_size(truth)}, but its picture {picture} is {_size(image)}")
        except ImageError as error:
            failures.append(Failure(picture, str(error)))
        else:
            yield image, truth


def _readable(paths: Iterable[Path], failures: list[Failure]) -> Iterator[tuple[RGBImage, Path]]:
    """Pictures with their paths; what cannot be read is added to the failures."""
    for path in paths:
        try:
            image = read_image(path)
        except ImageError as error:
            failures.append(Failure(path, str(error)))
        else:
            yield image, path


def _batch(segment: Segment) -> int:
    return segment.batch if isinstance(segment, BatchSegmenter) else 1


def _classmaps(segment: Segment, images: list[RGBImage]) -> list[ClassMap]:
    """One a picture, each an array of its own: a segmenter may write the next one into the same buffer."""
    if isinstance(segment, BatchSegmenter):
        return segment.segment_batch(images)
    return [segment(image).copy() for image in images]


def _by_name(confusion: ConfusionMatrix, classes: Sequence[str]) -> dict[str, float]:
    """IoU by name; a name that classes share gets a number."""
    named: dict[str, float] = {}
    for index, (name, iou) in enumerate(zip(classes, confusion.per_class_iou.tolist(), strict=True)):
        named[name if name not in named else f"{name} ({index})"] = iou
    return named


def _size(pixels: ClassMap) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _failures_json(failures: Sequence[Failure]) -> list[dict[str, str]]:
    return [{"picture": str(failure.picture), "reason": failure.reason} for failure in failures]


def _percent(share: float, decimals: int = 1) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.{decimals}f}"


def _table(body: Sequence[tuple[str, str]], summary: Sequence[tuple[str, str]]) -> str:
    """Two columns, the first to the left and the second to the right, a rule under the head and above the summary."""
    rows = [*body, *summary]
    left, right = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [f"{name:<{left}}  {value:>{right}}" for name, value in rows]
    rule = "-" * (left + 2 + right)
    ruled = [lines[0], rule, *lines[1 : len(body)]] + ([rule] if len(body) > 1 else []) + lines[len(body) :]
    return "\n".join(ruled)
