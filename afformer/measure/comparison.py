"""Two models, or any two segmenters, against each other."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from afformer.errors import AfformerError
from afformer.images import RGBImage, read_image
from afformer.measure.metrics import ConfusionMatrix, pixel_agreement
from afformer.measure.pictures import Failure, Segment, batch_of, classmaps, read_all
from afformer.measure.tables import percent, plain, summarised
from afformer.progress import Progress, no_progress
from afformer.runtime.backends.registry import has_own_size
from afformer.runtime.batches import groups
from afformer.runtime.opening import DEFAULT, OpenOptions
from afformer.runtime.segmenter import Segmenter
from afformer.streams.file_names import open_pictures


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
        note: How the class lists of the two differ, in one sentence; empty if they do not.
    """

    pixel_agreement: float
    worst_picture: Path | None
    worst_agreement: float
    miou: float
    per_class_iou: dict[str, float]
    pictures: int
    failures: tuple[Failure, ...] = ()
    note: str = ""

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
        table = summarised([("measure", "B against A, %")], rows)
        return f"{table}\n{self.note}" if self.note else table


def compare_models(
    a: Path, b: Path, images: Path, *, open_options: OpenOptions = DEFAULT, progress: Progress = no_progress
) -> Comparison:
    """Measures how far two models, or a model and a checkpoint, agree on pictures; `a` is taken for the truth.

    Each model is run at its own size, a checkpoint at the other model's; class maps have the picture's size. If both
    name the same classes in another order, they are matched by name, otherwise by number, and the result says so.

    Args:
        a: The reference.
        b: What is compared with it.
        images: Folder of pictures.
        open_options: How to open both.
        progress: Told how many pictures are done.

    Raises:
        AfformerError: A model cannot be opened, or they have different numbers of classes.
    """
    pictures = open_pictures(images).paths
    with contextlib.ExitStack() as stack:
        first, second = _open_both(a, b, open_options, stack)
        ours, theirs = first.spec.classes, second.spec.classes
        if len(ours) != len(theirs):
            raise AfformerError(
                f"{a} has {len(ours)} classes and {b} has {len(theirs)}; "
                "only models of the same classes can be compared"
            )
        order = _order(ours, theirs)
        other = second if order is None else _renumbered(second, order)
        found = compare_segmenters(first, other, pictures, ours, progress)
        return dataclasses.replace(found, note=_note(ours, theirs, by_name=order is not None))


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


def _order(ours: Sequence[str], theirs: Sequence[str]) -> npt.NDArray[np.intp] | None:
    """Our number of each of their classes; None if the lists are the same, or do not name the same classes."""
    if ours == theirs or sorted(ours) != sorted(theirs) or len(set(ours)) != len(ours):
        return None
    return np.array([ours.index(name) for name in theirs])


def _renumbered(segment: Segment, order: npt.NDArray[np.intp]) -> Segment:
    return lambda image: order[segment(image)]


def _note(ours: Sequence[str], theirs: Sequence[str], *, by_name: bool) -> str:
    if by_name:
        return "the class lists differ in their order; classes were matched by name"
    other = [(index, a, b) for index, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b]
    if not other:
        return ""
    index, a, b = other[0]
    return (
        f"the class lists differ: {len(other)} of {len(ours)} names, such as class {index}, '{a}' in A and '{b}' in B; "
        "classes were matched by number"
    )


def _with_path(picture: Path) -> tuple[Path, RGBImage]:
    return picture, read_image(picture)


def _open_both(a: Path, b: Path, open_options: OpenOptions, stack: contextlib.ExitStack) -> tuple[Segmenter, Segmenter]:
    """Opens the models that have a size of their own first, so that a checkpoint can be run at that size."""
    exported = dict.fromkeys(path for path in (a, b) if has_own_size(path, open_options.backend))
    opened = {path: stack.enter_context(open_options.open_segmenter(path)) for path in exported}
    size = next((segmenter.spec.input_hw for segmenter in opened.values()), None)
    open_options = dataclasses.replace(open_options, input_hw=open_options.input_hw or size)
    first, second = (opened.get(path) or stack.enter_context(open_options.open_segmenter(path)) for path in (a, b))
    return first, second
