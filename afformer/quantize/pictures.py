"""Calibration pictures: which can be used, what is wrong with the others, and how the model gets them."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from afformer.datasets import PICTURE_EXTENSIONS, visible_files
from afformer.errors import ImageError
from afformer.files import sha256
from afformer.images import RGBImage, read_image
from afformer.runtime.choices import Fit
from afformer.runtime.preprocess import fit_picture, write_input
from afformer.runtime.tiling import Tiling
from afformer.spec import ColorOrder, ModelSpec
from afformer.wording import count, listed

Array = npt.NDArray[np.generic]

FEW = 16
"""With fewer pictures than this, ranges depend too much on which ones they are."""
LIMIT = 64
"""More pictures than this hardly change a range."""
_LISTED = 3
_LABEL_COLOURS = 256
"""A label map has no more colours than this."""
_LABEL_FLATNESS = 0.85
"""Share of a label map's pixels that are like their left neighbour, at least: 0.93 and more on CamVid, whose photos
have up to 0.3."""


@dataclasses.dataclass(frozen=True)
class PictureSet:
    """The pictures to calibrate with.

    Attributes:
        paths: Readable pictures, without duplicates.
        sha256: Hex digest of their contents; it does not depend on names or order.
        warnings: What is wrong with the pictures, one sentence each.
    """

    paths: tuple[Path, ...]
    sha256: str
    warnings: tuple[str, ...]


def survey(
    pictures: Path | Sequence[Path],
    input_hw: tuple[int, int],
    limit: int = LIMIT,
    seen: Callable[[int, int], None] = lambda done, total: None,
) -> PictureSet:
    """Reads every picture once to find out which can be used.

    Args:
        pictures: A folder, searched with its subfolders, or the pictures themselves.
        input_hw: The model's input size, in pixels.
        limit: Pictures to take at most, evenly spread over all.
        seen: Told after each picture how many are done, of how many.

    Raises:
        ImageError: There is no such folder, or none of its pictures can be read.
    """
    paths = spread(_pictures_in(pictures) if isinstance(pictures, Path) else pictures, limit)
    found = _Survey(input_hw)
    for number, path in enumerate(paths, 1):
        found.take(path)
        seen(number, len(paths))
    if not found.usable:
        raise ImageError(f"{pictures if isinstance(pictures, Path) else 'calibration'}: {found.problem(len(paths))}")
    return PictureSet(
        paths=tuple(found.usable.values()),
        sha256=hashlib.sha256("".join(sorted(found.usable)).encode()).hexdigest(),
        warnings=tuple(found.warnings()),
    )


@dataclasses.dataclass
class _Survey:
    """What was found so far; usable pictures by the digest of their file."""

    input_hw: tuple[int, int]
    usable: dict[str, Path] = dataclasses.field(default_factory=dict)
    unreadable: list[str] = dataclasses.field(default_factory=list)
    repeated: list[Path] = dataclasses.field(default_factory=list)
    tiny: list[Path] = dataclasses.field(default_factory=list)
    label_maps: list[Path] = dataclasses.field(default_factory=list)

    def take(self, path: Path) -> None:
        try:
            image = read_image(path)
        except ImageError as error:
            self.unreadable.append(str(error))
            return
        digest = sha256(path)
        if looks_like_labels(image):
            self.label_maps.append(path)
        elif digest in self.usable:
            self.repeated.append(path)
        else:
            self.usable[digest] = path
            if image.shape[0] < self.input_hw[0] or image.shape[1] < self.input_hw[1]:
                self.tiny.append(path)

    def problem(self, count: int) -> str:
        """Why none of the pictures can be used."""
        if self.label_maps:
            return (
                f"holds label maps, not pictures: {_names(self.label_maps)} consist of large areas of at most "
                f"{_LABEL_COLOURS} colours; name the folder of the pictures themselves"
            )
        return f"none of {count} pictures can be read; the first: {[*self.unreadable, '-'][0]}"

    def warnings(self) -> Iterator[str]:
        usable = len(self.usable)
        if usable < FEW:
            yield (
                f"Only {count(usable, 'usable picture')}: ranges depend too much on which ones they are; give {FEW} or "
                f"more, better {LIMIT}."
            )
        if self.label_maps:
            yield f"{_count(len(self.label_maps))} apparently a label map and left out: {_names(self.label_maps)}."
        if self.repeated:
            yield f"{_count(len(self.repeated))} identical to another one and left out: {_names(self.repeated)}."
        if self.tiny:
            size = f"{self.input_hw[1]}x{self.input_hw[0]}"
            yield f"{_count(len(self.tiny))} smaller than the model's input {size} and blurred when enlarged: " + (
                f"{_names(self.tiny)}."
            )
        if self.unreadable:
            yield f"{_count(len(self.unreadable))} unreadable and left out: {listed(self.unreadable, _LISTED)}."


def looks_like_labels(image: RGBImage) -> bool:
    """Whether a picture is a label map by the looks: large areas of a few colours, but more than one.

    Args:
        image: `(H, W, 3)` uint8.
    """
    red, green, blue = np.moveaxis(image.astype(np.uint32), 2, 0)
    colours = (red << 16) | (green << 8) | blue  # (H, W)
    flat = colours[:, 1:] == colours[:, :-1]
    if not flat.size or flat.mean() < _LABEL_FLATNESS:
        return False
    return 1 < len(np.unique(colours)) <= _LABEL_COLOURS


Seen = Callable[[int, int], None]
"""Told how many pictures are done, of how many."""


@dataclasses.dataclass(frozen=True)
class Feeds:
    """The pictures as the model's input, read again every time.

    Attributes:
        paths: Readable pictures.
        spec: The model's.
        fit: How pictures are brought to the input size; `SLIDE` gives every tile.
    """

    paths: Sequence[Path]
    spec: ModelSpec
    fit: Fit = Fit.STRETCH

    def of(self, count: int, seen: Seen = lambda done, total: None) -> Iterator[Array]:
        """Input tensors, `(batch, ...)`, of at most `count` pictures, evenly spread; the last one may be shorter."""
        tensors, batch = self._tensors(spread(self.paths, count), seen), self.spec.batch
        while group := list(itertools.islice(tensors, batch)):
            yield np.stack(group)

    def _tensors(self, paths: Sequence[Path], seen: Seen) -> Iterator[Array]:
        height, width = self.spec.input_hw
        for done, path in enumerate(paths, 1):
            image = read_image(path)
            if self.fit is Fit.SLIDE:
                for y, x in Tiling.over(image.shape[:2], self.spec.input_hw):
                    yield write_input(image[y : y + height, x : x + width], self.spec, ColorOrder.RGB)
            else:
                yield fit_picture(image, self.spec, self.fit).tensor
            seen(done, len(paths))


def spread(paths: Sequence[Path], count: int) -> list[Path]:
    """At most `count` of the pictures, evenly spread, because neighbours in a folder are often frames of one video."""
    if len(paths) <= count:
        return list(paths)
    return [paths[int((i + 0.5) * len(paths) / count)] for i in range(count)]


def _pictures_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ImageError(f"{folder}: there is no such folder; expected a folder of pictures to calibrate with")
    found = visible_files(folder, PICTURE_EXTENSIONS)
    if not found:
        raise ImageError(
            f"{folder}: holds no pictures to calibrate with; expected {FEW} or more like those the model will see "
            f"({', '.join(sorted(PICTURE_EXTENSIONS))})"
        )
    return sorted(found)


def _count(count: int) -> str:
    return "1 picture is" if count == 1 else f"{count} pictures are"


def _names(paths: Sequence[Path]) -> str:
    return listed([path.name for path in paths], _LISTED)
