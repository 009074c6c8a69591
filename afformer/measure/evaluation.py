"""A model, or any segmenter, against the labels of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from afformer import datasets
from afformer.datasets import AS_THE_DATA_SET_HAS_THEM, IGNORE, Dataset, LabelOptions
from afformer.errors import ImageError
from afformer.extras import requires_extra
from afformer.files import AnyPath
from afformer.images import RGBImage
from afformer.measure.label_scores import LabelScores
from afformer.measure.pictures import (
    Failure,
    Segment,
    batch_of,
    classmaps,
    read_all,
)
from afformer.measure.results import Evaluation
from afformer.measure.truth import Truth, read_labelled_truth, settled
from afformer.progress import Progress, no_progress
from afformer.runtime.batches import groups
from afformer.runtime.opening import DEFAULT, OpenOptions


def evaluate_model(
    model: AnyPath,
    images: AnyPath,
    labels: AnyPath,
    *,
    dataset: str | None = None,
    label_options: LabelOptions = AS_THE_DATA_SET_HAS_THEM,
    open_options: OpenOptions = DEFAULT,
    html: AnyPath | None = None,
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
        html: An HTML file to write, with confusion matrix and the best and worst pictures; None writes none.
        progress: Told how many pictures are done.

    Raises:
        AfformerError: The model cannot be opened, the folders do not fit together, or a package for `html` is missing.
        OutputError: `html` cannot be written.
    """
    model = Path(model)
    if html is not None:
        with requires_extra("report"):
            from afformer.html.page import check_page
            from afformer.measure.evaluation_page import write_evaluation
        check_page(Path(html), [model])
    with open_options.open_segmenter(model) as segmenter:
        convention = datasets.for_model(segmenter.spec, dataset, model, label_options)
        pairs = datasets.pairs(convention, Path(images), Path(labels))
        scores, failures = _scores(segmenter, pairs, convention, progress)
        found = _evaluation(scores, failures)
        if html is not None:
            write_evaluation(
                Path(html),
                found,
                scores,
                model=model,
                segment=segmenter,
                labels=dict(pairs),
            )
        return found


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
    return _evaluation(*_scores(segment, pairs, dataset, progress))


def _scores(
    segment: Segment, pairs: Sequence[tuple[Path, Path]], dataset: Dataset, progress: Progress
) -> tuple[LabelScores, list[Failure]]:
    if dataset.num_classes > IGNORE:
        raise ImageError(f"labels tell at most {IGNORE} classes apart, but {dataset.title} has {dataset.num_classes}")
    dataset = settled(dataset, [label for _, label in pairs])
    seen = LabelScores(dataset)
    failures: list[Failure] = []

    def read(picture: Path, label: Path) -> tuple[Path, RGBImage, Truth]:
        return picture, *read_labelled_truth(dataset, picture, label)

    for group in groups(read_all(pairs, read, failures, progress), batch_of(segment)):
        predicted = classmaps(segment, [image for _, image, _ in group])
        for (picture, _, truth), classmap in zip(group, predicted, strict=True):
            seen.add(picture, truth, classmap)
    used = len(pairs) - len(failures)
    if used and not seen.confusion.counts.any():
        raise ImageError(
            f"{pairs[0][1].parent}: not one pixel of {used} labels has a class; every label is ignored as a whole; "
            "check that they are labels, and what `label_offset`, `label_map` and `ignore_label` say"
        )
    return seen, failures


def _evaluation(seen: LabelScores, failures: Sequence[Failure]) -> Evaluation:
    return Evaluation(
        miou=seen.confusion.miou,
        per_class_iou=seen.confusion.iou_by_name(seen.dataset.classes),
        pixel_accuracy=seen.confusion.pixel_accuracy,
        pictures=seen.pictures,
        failures=tuple(failures),
        notes=seen.notes(),
    )
