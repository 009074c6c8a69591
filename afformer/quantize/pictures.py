"""Calibration pictures: which can be used, what is wrong with the others, and how the model gets them."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from afformer.datasets import PICTURE_EXTENSIONS
from afformer.errors import ImageError
from afformer.files import sha256
from afformer.images import read_image
from afformer.runtime.choices import Fit
from afformer.runtime.preprocess import fit_picture, write_input
from afformer.runtime.tiling import Tiling
from afformer.spec import ColorOrder, ModelSpec

Array = npt.NDArray[np.generic]

FEW = 16
"""With fewer pictures than this, ranges depend too much on which ones they are."""
LIMIT = 64
"""More pictures than this hardly change a range."""
_LISTED = 3


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
    first: dict[str, Path] = {}
    unreadable: list[str] = []
    repeated: list[Path] = []
    tiny: list[Path] = []
    for number, path in enumerate(paths, 1):
        try:
            height, width, _ = read_image(path).shape
        except ImageError as error:
            unreadable.append(str(error))
        else:
            digest = sha256(path)
            if digest in first:
                repeated.append(path)
            elif height < input_hw[0] or width < input_hw[1]:
                tiny.append(path)
            first.setdefault(digest, path)
        seen(number, len(paths))
    if not first:
        where = pictures if isinstance(pictures, Path) else "calibration"
        raise ImageError(f"{where}: none of {len(paths)} pictures can be read; the first: {[*unreadable, '-'][0]}")
    return PictureSet(
        paths=tuple(first.values()),
        sha256=hashlib.sha256("".join(sorted(first)).encode()).hexdigest(),
        warnings=tuple(_warnings(len(first), unreadable, repeated, tiny, input_hw)),
    )


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
        """Input tensors, `(batch, ...)`, of at most `count` pictures, evenly spread.

        The last batch is filled up with its own pictures.
        """
        tensors, batch = self._tensors(spread(self.paths, count), seen), self.spec.batch
        while group := list(itertools.islice(tensors, batch)):
            yield np.stack([group[i % len(group)] for i in range(batch)])

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
    found = [path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_EXTENSIONS and path.is_file()]
    found = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if not found:
        raise ImageError(
            f"{folder}: holds no pictures to calibrate with; expected {FEW} or more like those the model will see "
            f"({', '.join(sorted(PICTURE_EXTENSIONS))})"
        )
    return sorted(found)


def _warnings(
    usable: int, unreadable: list[str], repeated: list[Path], tiny: list[Path], input_hw: tuple[int, int]
) -> Iterator[str]:
    if usable < FEW:
        yield (
            f"Only {usable} usable picture{'s' if usable > 1 else ''}: ranges depend too much on which ones they are; "
            f"give {FEW} or more, better {LIMIT}."
        )
    if repeated:
        yield f"{_count(len(repeated))} identical to another one and left out: {_some([p.name for p in repeated])}."
    if tiny:
        size = f"{input_hw[1]}x{input_hw[0]}"
        yield f"{_count(len(tiny))} smaller than the model's input {size} and blurred when enlarged: " + (
            f"{_some([p.name for p in tiny])}."
        )
    if unreadable:
        yield f"{_count(len(unreadable))} unreadable and left out: {_some(unreadable, '; ')}."


def _count(count: int) -> str:
    return "1 picture is" if count == 1 else f"{count} pictures are"


def _some(items: Sequence[str], separator: str = ", ") -> str:
    more = len(items) - _LISTED
    return separator.join(items[:_LISTED]) + (f"{separator}and {more} more" if more > 0 else "")
