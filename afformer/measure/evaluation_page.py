"""An evaluation as one HTML page: figures, confusion matrix, the best and the worst pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from afformer.datasets import Dataset
from afformer.html.confusion import confusion_table
from afformer.html.page import write_page
from afformer.html.pictures import Difference, Illustrator
from afformer.measure.label_scores import LabelScores
from afformer.measure.pictures import PictureScore, Segment, best_pictures, classmaps, worst_pictures
from afformer.measure.results import Evaluation
from afformer.measure.truth import read_labelled


def write_evaluation(
    path: Path,
    found: Evaluation,
    scores: LabelScores,
    *,
    model: Path,
    segment: Segment,
    labels: Mapping[Path, Path],
) -> None:
    """Writes the page. The pictures that it shows are read and segmented once more, so that none had to be kept.

    Args:
        path: The HTML file to write.
        found: What was measured.
        scores: The same by class and by picture.
        model: The model's file, for the heading.
        segment: The model.
        labels: The label of each picture.

    Raises:
        OutputError: The file cannot be written.
        ImageError: A picture can no longer be read.
    """
    dataset = scores.dataset
    illustrator = Illustrator(dataset.classes, dataset.palette)

    def shown(some: Sequence[PictureScore]) -> list[Difference]:
        return [_difference(illustrator, segment, dataset, score.picture, labels[score.picture]) for score in some]

    worst, best = shown(worst_pictures(scores.by_picture)), shown(best_pictures(scores.by_picture))
    write_page(
        path,
        "measure/evaluation.html.jinja",
        found=found,
        model=model.name,
        dataset=dataset.title,
        matrix=confusion_table(scores.confusion.counts, dataset.classes),
        colours=illustrator.legend,
        worst=worst,
        best=best,
    )


def _difference(illustrator: Illustrator, segment: Segment, dataset: Dataset, picture: Path, label: Path) -> Difference:
    image, truth = read_labelled(dataset, picture, label)
    (answer,) = classmaps(segment, [image])
    return illustrator.difference(picture.name, image, {"label": truth, "answer": answer})
