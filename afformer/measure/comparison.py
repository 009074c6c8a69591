"""Two models, or any two segmenters, against each other."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from afformer.errors import AfformerError
from afformer.extras import requires_extra
from afformer.files import AnyPath
from afformer.images import RGBImage, read_image
from afformer.measure.metrics import ConfusionMatrix, pixel_agreement
from afformer.measure.pictures import Failure, PictureScore, Segment, batch_of, classmaps, read_all, worst_pictures
from afformer.measure.results import Comparison
from afformer.model.choices import AS_THE_FILE_SAYS
from afformer.progress import Progress, no_progress
from afformer.runtime.backends.registry import has_own_size
from afformer.runtime.batches import groups
from afformer.runtime.opening import DEFAULT, OpenOptions, with_spec_where_due
from afformer.runtime.segmenter import Segmenter
from afformer.streams.file_names import open_pictures


def compare_models(
    a: AnyPath,
    b: AnyPath,
    images: AnyPath,
    *,
    open_options: OpenOptions = DEFAULT,
    html: AnyPath | None = None,
    progress: Progress = no_progress,
) -> Comparison:
    """Measures how far two models, or a model and a checkpoint, agree on pictures; `a` is taken for the truth.

    Each model is run at its own size, a checkpoint at the other model's; class maps have the picture's size. If both
    name the same classes in another order, they are matched by name, otherwise by number, and the result says so.

    Args:
        a: The reference.
        b: What is compared with it.
        images: Folder of pictures.
        open_options: How to open both.
        html: An HTML file to write, with the pictures where they differ most; None writes none.
        progress: Told how many pictures are done.

    Raises:
        AfformerError: A model cannot be opened, the numbers of classes differ, or a package for `html` is missing.
        OutputError: `html` cannot be written.
    """
    a, b = Path(a), Path(b)
    if html is not None:
        with requires_extra("report"):
            from afformer.html.page import check_page
            from afformer.measure.comparison_page import write_comparison
        check_page(Path(html), [a, b])
    pictures = open_pictures(Path(images)).paths
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
        found, confusion, worst = _compared(first, other, pictures, ours, progress)
        found = dataclasses.replace(found, note=_note(ours, theirs, by_name=order is not None))
        if html is not None:
            names, segments = (a.name, b.name), (first, other)
            write_comparison(Path(html), found, confusion, worst, names=names, segments=segments, spec=first.spec)
        return found


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
    return _compared(a, b, pictures, classes, progress)[0]


def _compared(
    a: Segment, b: Segment, pictures: Sequence[Path], classes: Sequence[str], progress: Progress
) -> tuple[Comparison, ConfusionMatrix, tuple[PictureScore, ...]]:
    """What was found, the same by class, and the pictures where they agree least."""
    confusion = ConfusionMatrix(len(classes), ignore=None)
    failures: list[Failure] = []
    scores: list[PictureScore] = []
    paths = [(path,) for path in pictures]
    for group in groups(read_all(paths, _with_path, failures, progress), max(batch_of(a), batch_of(b))):
        images = [image for _, image in group]
        for (path, _), ours, theirs in zip(group, classmaps(a, images), classmaps(b, images), strict=True):
            confusion.add(ours, theirs)
            scores.append(PictureScore(path, pixel_agreement(ours, theirs)))
    worst = worst_pictures(scores)
    found = Comparison(
        pixel_agreement=confusion.pixel_accuracy,
        worst_picture=worst[0].picture if worst else None,
        worst_agreement=worst[0].score if worst else math.nan,
        miou=confusion.miou,
        per_class_iou=confusion.iou_by_name(classes),
        pictures=len(scores),
        failures=tuple(failures),
    )
    return found, confusion, worst


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
    # What is said about a checkpoint is not meant for the exported model beside it, and the other way round.
    mixed = len(exported) < len({a, b})
    plain = dataclasses.replace(open_options, checkpoint=AS_THE_FILE_SAYS) if mixed else open_options
    due = with_spec_where_due(exported, plain)
    opened = {path: stack.enter_context(due[path].open_segmenter(path)) for path in exported}
    size = next((segmenter.spec.input_hw for segmenter in opened.values()), None)
    spec = None if exported and mixed else open_options.spec
    open_options = dataclasses.replace(open_options, input_hw=open_options.input_hw or size, spec=spec)
    first, second = (opened.get(path) or stack.enter_context(open_options.open_segmenter(path)) for path in (a, b))
    return first, second
