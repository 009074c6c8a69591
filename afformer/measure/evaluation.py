"""A model, or any segmenter, against the labels of a data set."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from afformer import datasets
from afformer.datasets import IGNORE, Dataset
from afformer.errors import ImageError
from afformer.files import AnyPath
from afformer.images import ClassMap, RGBImage, read_image, read_label
from afformer.measure.metrics import ConfusionMatrix
from afformer.measure.pictures import Failure, Segment, batch_of, classmaps, read_all
from afformer.measure.tables import percent, plain, summarised
from afformer.progress import Progress, no_progress
from afformer.runtime.batches import groups
from afformer.runtime.opening import DEFAULT, OpenOptions


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How good class maps are against labels.

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
        return dict(plain(self))

    def to_table(self) -> str:
        """One line a class, then the summary; percentages."""
        rows = [(name, percent(iou)) for name, iou in self.per_class_iou.items()]
        total = [("mIoU", percent(self.miou)), ("pixel accuracy", percent(self.pixel_accuracy))]
        return summarised([("class", "IoU %"), *rows], [*total, ("pictures", str(self.pictures))])


def evaluate_model(
    model: AnyPath,
    images: AnyPath,
    labels: AnyPath,
    *,
    dataset: str | None = None,
    open_options: OpenOptions = DEFAULT,
    progress: Progress = no_progress,
) -> Evaluation:
    """Measures a model on labelled pictures.

    Args:
        model: A model file or a checkpoint.
        images: Folder of pictures.
        labels: Folder of labels.
        dataset: Whose label convention to follow; None takes the model's own data set.
        open_options: How to open the model.
        progress: Told how many pictures are done.

    Raises:
        AfformerError: The model cannot be opened, or the folders do not fit together.
    """
    model = Path(model)
    with open_options.open_segmenter(model) as segmenter:
        convention = datasets.for_model(segmenter.spec, dataset, model)
        pairs = datasets.pairs(convention, Path(images), Path(labels))
        return evaluate_segmenter(segmenter, pairs, convention, progress)


def evaluate_segmenter(
    segment: Segment, pairs: Sequence[tuple[Path, Path]], dataset: Dataset, progress: Progress = no_progress
) -> Evaluation:
    """Measures a segmenter on labelled pictures. A picture that cannot be read is reported and left out.

    Args:
        segment: Gives class ids of `dataset`, at the picture's own size.
        pairs: (picture, label) paths, as `afformer.datasets.pairs` finds them.
        dataset: What the labels mean.
        progress: Told how many pictures are done.

    Raises:
        ImageError: There are more classes than labels can tell apart.
    """
    if dataset.num_classes > IGNORE:
        raise ImageError(f"labels tell at most {IGNORE} classes apart, but {dataset.title} has {dataset.num_classes}")
    confusion = ConfusionMatrix(dataset.num_classes)
    failures: list[Failure] = []
    read = functools.partial(read_labelled, dataset)
    for group in groups(read_all(pairs, read, failures, progress), batch_of(segment)):
        predicted = classmaps(segment, [image for image, _ in group])
        for (_, truth), classmap in zip(group, predicted, strict=True):
            confusion.add(truth, classmap)
    return Evaluation(
        miou=confusion.miou,
        per_class_iou=confusion.iou_by_name(dataset.classes),
        pixel_accuracy=confusion.pixel_accuracy,
        pictures=len(pairs) - len(failures),
        failures=tuple(failures),
    )


def read_labelled(dataset: Dataset, picture: Path, label: Path) -> tuple[RGBImage, ClassMap]:
    """A picture, `(H, W, 3)` uint8 RGB, with its true class map, `(H, W)` uint8.

    Raises:
        ImageError: A file cannot be read, or the two differ in size.
    """
    image = read_image(picture)
    truth = dataset.train_ids(read_label(label), label)
    if truth.shape != image.shape[:2]:
        raise ImageError(f"{label}: is {_size(truth)}, but its picture {picture} is {_size(image)}")
    return image, truth


def _size(pixels: ClassMap) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"
