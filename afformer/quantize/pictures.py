"""Which pictures calibration can use, and what is wrong with the others."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from afformer.datasets import PICTURE_EXTENSIONS
from afformer.errors import ImageError
from afformer.files import sha256
from afformer.images import RGBImage, read_image

Array = npt.NDArray[np.generic]

FEW = 16
"""With fewer pictures than this, ranges depend on which ones they happen to be."""
LIMIT = 64
"""More pictures than this hardly move a range."""
_LISTED = 3


@dataclasses.dataclass(frozen=True)
class PictureSet:
    """The pictures to calibrate with.

    Attributes:
        paths: Readable pictures, each content once.
        sha256: Hex digest of their contents, whatever their names and order.
        warnings: What is wrong with the folder, a sentence each.
    """

    paths: tuple[Path, ...]
    sha256: str
    warnings: tuple[str, ...]


def survey(
    source: Path | Sequence[Path],
    input_hw: tuple[int, int],
    limit: int = LIMIT,
    seen: Callable[[int, int], None] = lambda done, total: None,
) -> PictureSet:
    """Reads the pictures of a folder once.

    Args:
        source: A folder, searched with its subfolders, or the pictures themselves.
        input_hw: The model's input size, in pixels.
        limit: Pictures to take at most, evenly spread over the folder.
        seen: Told how many pictures were looked at, of how many.

    Raises:
        ImageError: No such folder, or no picture in it that can be read.
    """
    paths = spread(_pictures_in(source) if isinstance(source, Path) else source, limit)
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
        where = source if isinstance(source, Path) else "calibration"
        raise ImageError(f"{where}: none of {len(paths)} pictures can be read; the first: {[*unreadable, '-'][0]}")
    return PictureSet(
        paths=tuple(first.values()),
        sha256=hashlib.sha256("".join(sorted(first)).encode()).hexdigest(),
        warnings=tuple(_warnings(len(first), unreadable, repeated, tiny, input_hw)),
    )


def batches(paths: Sequence[Path], to_tensor: Callable[[RGBImage], Array], batch: int) -> Iterator[Array]:
    """The pictures as the model's input, one batch at a time; the last one is filled up with its own pictures.

    Args:
        paths: Readable pictures.
        to_tensor: From an `(H, W, 3)` uint8 RGB picture to the model's input without its batch axis.
        batch: Pictures a call.

    Yields:
        `(batch, ...)` arrays of the model's input type.
    """
    for start in range(0, len(paths), batch):
        group = [to_tensor(read_image(path)) for path in paths[start : start + batch]]
        yield np.stack([group[i % len(group)] for i in range(batch)])


def spread(paths: Sequence[Path], count: int) -> list[Path]:
    """At most `count` of the pictures, evenly spread: neighbours in a folder are often frames of one video."""
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
            f"Only {usable} usable picture{'s' if usable > 1 else ''}: ranges depend on which these happen to be; "
            f"give {FEW} or more, better 64."
        )
    if repeated:
        yield f"{_count(len(repeated))} the same as another one and left out: {_some([p.name for p in repeated])}."
    if tiny:
        size = f"{input_hw[1]}x{input_hw[0]}"
        yield f"{_count(len(tiny))} smaller than the model's input {size} and blurred by enlarging: " + (
            f"{_some([p.name for p in tiny])}."
        )
    if unreadable:
        yield f"{_count(len(unreadable))} unreadable and left out: {_some(unreadable, '; ')}."


def _count(count: int) -> str:
    return "1 picture is" if count == 1 else f"{count} pictures are"


def _some(items: Sequence[str], separator: str = ", ") -> str:
    more = len(items) - _LISTED
    return separator.join(items[:_LISTED]) + (f"{separator}and {more} more" if more > 0 else "")
