"""A comparison as one HTML page: figures, and the pictures where the two differ most."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from afformer.html.confusion import confusion_table
from afformer.html.page import write_page
from afformer.html.pictures import Difference, Illustrator
from afformer.images import read_image
from afformer.measure.metrics import ConfusionMatrix
from afformer.measure.pictures import PictureScore, Segment, classmaps
from afformer.measure.results import Comparison
from afformer.spec import ModelSpec


def write_comparison(
    path: Path,
    found: Comparison,
    confusion: ConfusionMatrix,
    worst: Sequence[PictureScore],
    *,
    names: tuple[str, str],
    segments: tuple[Segment, Segment],
    spec: ModelSpec,
) -> None:
    """Writes the page. The pictures that it shows are read and segmented once more, so that none had to be kept.

    Args:
        path: The HTML file to write.
        found: What was measured.
        confusion: The same pixels by class; rows are the first model's.
        worst: The pictures to show, the worst first.
        names: What the two models are called.
        segments: The models.
        spec: Of the first model: its classes and their colours.

    Raises:
        OutputError: The file cannot be written.
        ImageError: A picture can no longer be read.
    """
    illustrator = Illustrator(spec.classes, spec.palette)
    a, b = segments

    def difference(picture: Path) -> Difference:
        image = read_image(picture)
        (first,), (second,) = classmaps(a, [image]), classmaps(b, [image])
        return illustrator.difference(picture.name, image, {"A": first, "B": second})

    differences = [difference(score.picture) for score in worst]
    write_page(
        path,
        "measure/comparison.html.jinja",
        found=found,
        a=names[0],
        b=names[1],
        matrix=confusion_table(confusion.counts, spec.classes),
        colours=illustrator.legend,
        worst=differences,
    )
