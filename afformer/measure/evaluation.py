"""A model, or any segmenter, against the labels of a data set."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from afformer import datasets
from afformer.datasets import AS_THE_DATA_SET_HAS_THEM, IGNORE, Dataset, LabelOptions
from afformer.errors import ImageError
from afformer.files import AnyPath
from afformer.measure.label_scores import LabelScores
from afformer.measure.pictures import Failure, Segment, batch_of, classmaps, read_all
from afformer.measure.tables import percent, plain, summarised
from afformer.measure.truth import read_labelled_truth, settled
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
        notes: How the labels were read where it is not plain, and what would score far higher; a sentence each.
    """

    miou: float
    per_class_iou: dict[str, float]
    pixel_accuracy: float
    pictures: int
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`; nan becomes None."""
        return dict(plain(self))

    def to_table(self) -> str:
        """One line a class, then the summary; percentages."""
        rows = [(name, percent(iou)) for name, iou in self.per_class_iou.items()]
        total = [("mIoU", percent(self.miou)), ("pixel accuracy", percent(self.pixel_accuracy))]
        table = summarised([("class", "IoU %"), *rows], [*total, ("pictures", str(self.pictures))])
        return "\n".join([table, *self.notes])


def evaluate_model(
    model: AnyPath,
    images: AnyPath,
    labels: AnyPath,
    *,
    dataset: str | None = None,
    label_options: LabelOptions = AS_THE_DATA_SET_HAS_THEM,
    open_options: OpenOptions = DEFAULT,
    progress: Progress = no_progress,
) -> Evaluation:
    """Measures a model on labelled pictures.

    Args:
        model: A model file or a checkpoint.
        images: Folder of pictures.
        labels: Folder of labels.
        dataset: Whose label convention to follow; None takes the model's own data set.
        label_options: What the ids in the labels mean, where they differ from that convention.
        open_options: How to open the model.
        progress: Told how many pictures are done.

    Raises:
        AfformerError: The model cannot be opened, or the folders do not fit together.
    """
    model = Path(model)
    with open_options.open_segmenter(model) as segmenter:
        convention = datasets.for_model(segmenter.spec, dataset, model, label_options)
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
        ImageError: There are more classes than labels can tell apart, or not one pixel has a class.
    """
    if dataset.num_classes > IGNORE:
        raise ImageError(f"labels tell at most {IGNORE} classes apart, but {dataset.title} has {dataset.num_classes}")
    dataset = settled(dataset, [label for _, label in pairs])
    seen = LabelScores(dataset)
    failures: list[Failure] = []
    read = functools.partial(read_labelled_truth, dataset)
    for group in groups(read_all(pairs, read, failures, progress), batch_of(segment)):
        predicted = classmaps(segment, [image for image, _ in group])
        for (_, truth), classmap in zip(group, predicted, strict=True):
            seen.add(truth, classmap)
    used = len(pairs) - len(failures)
    confusion = seen.confusion
    if used and not confusion.counts.any():
        raise ImageError(
            f"{pairs[0][1].parent}: not one pixel of {used} labels has a class; every label is ignored as a whole; "
            "check that they are labels, and what `label_offset`, `label_map` and `ignore_label` say"
        )
    return Evaluation(
        miou=confusion.miou,
        per_class_iou=confusion.iou_by_name(dataset.classes),
        pixel_accuracy=confusion.pixel_accuracy,
        pictures=used,
        failures=tuple(failures),
        notes=seen.notes(),
    )
