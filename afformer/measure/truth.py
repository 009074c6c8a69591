"""The true class map of a picture, from any kind of label file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from afformer.datasets import IGNORE, Dataset
from afformer.datasets.colours import classes_of, index_classes
from afformer.errors import ImageError
from afformer.images import ClassMap, LabelPixels, RGBImage, exif_orientation, is_tiff, read_image, read_label_pixels

Classes = npt.NDArray[np.uint8]
Turn = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
_TURNS: dict[int, Turn] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: np.rot90(pixels, 2),
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.T,
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).T,
    8: np.rot90,
}
"""How to turn the stored pixels, for each EXIF orientation."""


@dataclasses.dataclass(frozen=True)
class Truth:
    """What a label says.

    Attributes:
        classes: `(H, W)` uint8 class ids, or `IGNORE`.
        ids: `(H, W)` the ids that the file stores; None if it stores colours only.
        colours_say: `(H, W)` uint8 classes by the palette of an indexed PNG; None if that does not tell.
        by_colours: Whether `classes` are from the file's colours.
        if_turned: `(H, W)` uint8 `classes` turned as EXIF turns the picture, where the size does not tell whether the
            label was drawn on the picture as it is stored or as it is shown; None where it does.
    """

    classes: Classes
    ids: npt.NDArray[np.unsignedinteger] | None
    colours_say: Classes | None = None
    by_colours: bool = False
    if_turned: Classes | None = None

    def turned(self, turn: Turn) -> Truth:
        """The same in another orientation."""
        ids = None if self.ids is None else turn(self.ids)
        say = None if self.colours_say is None else turn(self.colours_say)
        return Truth(turn(self.classes), ids, say, self.by_colours)


def read_truth(dataset: Dataset, label: Path) -> Truth:
    """Reads a label file: ids by the data set's convention, colours through its palette.

    An indexed PNG whose palette is the data set's is read by its colours, whatever the order of its indices.

    Raises:
        ImageError: The file cannot be read, or holds ids or colours that mean no class.
    """
    stored = read_label_pixels(label)
    kind = dataset.label_files(label)
    if stored.ids is None or (kind.coloured and stored.colours is not None):
        return _coloured(dataset, stored, label)
    told = None if stored.palette is None else index_classes(dataset, stored.palette, stored.ids)
    if told is not None and not kind.stated:
        return Truth(told, stored.ids, told, by_colours=True)
    try:
        return Truth(kind.train_ids(stored.ids, str(label)), stored.ids, told)
    except ImageError:
        if stored.colours is None:
            raise
        try:  # colours that are all grey, such as CamVid's sky
            return _coloured(dataset, stored, label)
        except ImageError:
            pass  # the ids are what most files hold, so their error says more
        raise


def read_labelled_truth(dataset: Dataset, picture: Path, label: Path) -> tuple[RGBImage, Truth]:
    """A picture, `(H, W, 3)` uint8 RGB, with what its label says.

    EXIF may turn a picture, and its label may have been drawn on the stored pixels; then it is turned, too. That is so
    if the label's own EXIF says it, or if the two sizes fit only then.

    Raises:
        ImageError: A file cannot be read, or the two differ in size.
    """
    image = read_image(picture)
    truth = _upright(read_truth(dataset, label), picture, label, image.shape[:2])
    if truth.classes.shape != image.shape[:2]:
        raise ImageError(
            f"{label}: is {_size(truth.classes)}, but its picture {picture} is {_size(image)}; expected the same size"
        )
    return image, truth


def _upright(truth: Truth, picture: Path, label: Path, shown_hw: tuple[int, ...]) -> Truth:
    own = _TURNS.get(exif_orientation(label))
    if own:
        return truth if is_tiff(label) else truth.turned(own)  # OpenCV has turned a TIFF already
    turn = _TURNS.get(exif_orientation(picture))
    if turn is None:
        return truth
    if truth.classes.shape != shown_hw:
        return truth.turned(turn)
    turned = turn(truth.classes)
    return dataclasses.replace(truth, if_turned=turned) if turned.shape == shown_hw else truth


def read_labelled(dataset: Dataset, picture: Path, label: Path) -> tuple[RGBImage, ClassMap]:
    """A picture, `(H, W, 3)` uint8 RGB, with its true class map, `(H, W)` uint8.

    Raises:
        ImageError: A file cannot be read, or the two differ in size.
    """
    image, truth = read_labelled_truth(dataset, picture, label)
    return image, truth.classes


def settled(dataset: Dataset, labels: Sequence[Path]) -> Dataset:
    """The data set, with 255 as its second class if its labels are masks of 0 and 255 alone.

    In labels of two classes 255 means to ignore, unless no label holds a 1: then it is the foreground. Files are read
    until one holds something else.
    """
    kind = dataset.labels[0]
    if len(dataset.labels) > 1 or kind.stated or (kind.ids, kind.ignored) != ((0, 1), (IGNORE,)):
        return dataset
    seen: set[int] = set()
    for label in labels:
        try:
            truth = read_truth(dataset, label)
        except ImageError:  # reported when it is measured
            continue
        if truth.ids is None or truth.by_colours:
            return dataset
        seen.update(np.unique(truth.ids).tolist())
        if 1 in seen:
            return dataset
    if IGNORE not in seen:
        return dataset
    return dataclasses.replace(dataset, labels=(dataclasses.replace(kind, ids=(0, IGNORE), ignored=()),))


def _coloured(dataset: Dataset, stored: LabelPixels, label: Path) -> Truth:
    if stored.colours is None:
        raise ImageError(f"{label}: stores colours of 16 bits; expected 8 bits, or a one-channel or indexed PNG")
    return Truth(classes_of(dataset, stored.colours, str(label)), None, by_colours=True)


def _size(pixels: npt.NDArray[np.uint8]) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"
