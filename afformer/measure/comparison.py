"""Two models, or any two segmenters, against each other."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from afformer.errors import AfformerError
from afformer.images import RGBImage, read_image
from afformer.measure.metrics import ConfusionMatrix, pixel_agreement
from afformer.measure.pictures import Failure, Segment, batch_of, classmaps, read_all
from afformer.measure.tables import percent, plain, summarised
from afformer.model.choices import AS_THE_FILE_SAYS
from afformer.progress import Progress, no_progress
from afformer.runtime.backends.registry import has_own_size
from afformer.runtime.batches import groups
from afformer.runtime.opening import DEFAULT, OpenOptions
from afformer.runtime.segmenter import Segmenter
from afformer.streams.picture_files import open_pictures


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How far `b` agrees with `a`, which is taken for the truth.

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
        return dict(plain(self))

    def to_table(self) -> str:
        """The summary; percentages, to three decimals because good models agree nearly everywhere."""
        worst = f" ({self.worst_picture.name})" if self.worst_picture else ""
        rows = [
            ("pixel agreement", percent(self.pixel_agreement, 3)),
            ("worst picture", percent(self.worst_agreement, 3) + worst),
            ("mIoU, A as truth", percent(self.miou, 3)),
            ("pictures", str(self.pictures)),
        ]
        return summarised([("measure", "B against A, %")], rows)


def compare_models(
    a: Path, b: Path, images: Path, *, open_options: OpenOptions = DEFAULT, progress: Progress = no_progress
) -> Comparison:
    """Measures how far two models, or a model and a checkpoint, agree on pictures; `a` is taken for the truth.

    A checkpoint is run at the other model's size.

    Args:
        a: The reference.
        b: What is compared with it.
        images: Folder of pictures.
        open_options: How to open both.
        progress: Told how many pictures are done.

    Raises:
        AfformerError: A model cannot be opened, or they have different classes.
    """
    pictures = open_pictures(images).paths
    with contextlib.ExitStack() as stack:
        first, second = _open_both(a, b, open_options, stack)
        if first.spec.classes != second.spec.classes:
            raise AfformerError(
                f"{a} has {first.spec.num_classes} classes and {b} has {second.spec.num_classes}, or they are named "
                "differently; only models of the same classes can be compared"
            )
        return compare_segmenters(first, second, pictures, first.spec.classes, progress)


def compare_segmenters(
    a: Segment, b: Segment, pictures: Sequence[Path], classes: Sequence[str], progress: Progress = no_progress
) -> Comparison:
    """Measures how far two segmenters agree on the same pictures. One that cannot be read is reported and left out.

    Args:
        a: The reference.
        b: What is compared with it.
        pictures: Paths.
        classes: The class names that both know.
        progress: Told how many pictures are done.
    """
    confusion = ConfusionMatrix(len(classes), ignore=None)
    failures: list[Failure] = []
    agreements: list[tuple[float, Path]] = []
    paths = [(path,) for path in pictures]
    for group in groups(read_all(paths, _with_path, failures, progress), max(batch_of(a), batch_of(b))):
        images = [image for _, image in group]
        for (path, _), ours, theirs in zip(group, classmaps(a, images), classmaps(b, images), strict=True):
            confusion.add(ours, theirs)
            agreements.append((pixel_agreement(ours, theirs), path))
    worst, where = min(agreements, default=(math.nan, None))
    return Comparison(
        pixel_agreement=confusion.pixel_accuracy,
        worst_picture=where,
        worst_agreement=worst,
        miou=confusion.miou,
        per_class_iou=confusion.iou_by_name(classes),
        pictures=len(agreements),
        failures=tuple(failures),
    )


def _with_path(picture: Path) -> tuple[Path, RGBImage]:
    return picture, read_image(picture)


def _open_both(a: Path, b: Path, open_options: OpenOptions, stack: contextlib.ExitStack) -> tuple[Segmenter, Segmenter]:
    """Opens the model that has a size of its own first, so that a checkpoint can be run at that size."""
    exported = [path for path in (a, b) if has_own_size(path, open_options.backend)]
    # What is said about a checkpoint is not meant for the exported model beside it.
    plain = dataclasses.replace(open_options, checkpoint=AS_THE_FILE_SAYS) if len(exported) == 1 else open_options
    opened = {path: stack.enter_context(plain.open_segmenter(path)) for path in exported[:1]}
    size = next((segmenter.spec.input_hw for segmenter in opened.values()), None)
    open_options = dataclasses.replace(open_options, input_hw=open_options.input_hw or size)
    first, second = (opened.get(path) or stack.enter_context(open_options.open_segmenter(path)) for path in (a, b))
    return first, second
