"""Where pictures come from: files, folders and patterns now; anything that yields frames fits behind `Source`."""

from __future__ import annotations

import abc
import dataclasses
import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from afformer.datasets import PICTURE_EXTENSIONS
from afformer.errors import ImageError
from afformer.images import RGBImage, read_image

Spec = str | Path
"""A picture file, a folder, or a pattern such as `frames/*.jpg` (`**` for subfolders)."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """One picture of a source, or the reason why it could not be read.

    Attributes:
        index: Its position in the source, from 0.
        name: What outputs are named after: the file's name without its extension.
        content: `(H, W, 3)` uint8 RGB, or the error.
        path: The file it came from, if it came from a file.
    """

    index: int
    name: str
    content: RGBImage | ImageError
    path: Path | None = None


class Source(abc.ABC):
    """Frames, one after the other. A subclass gives `__iter__`, and `length` and `close` where it must."""

    length: int | None = None
    """Number of frames, if it is known beforehand."""

    @abc.abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yields frames, each read when it is asked for."""

    def close(self) -> None:  # noqa: B027 - optional: files hold nothing
        """Frees what the source holds. It cannot be used afterwards."""

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class PictureFiles(Source):
    """Picture files, read one at a time. One that cannot be read becomes a frame with an error.

    Args:
        paths: The files, in the order in which they are to be read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self.length = len(self.paths)

    def __iter__(self) -> Iterator[Frame]:
        for index, path in enumerate(self.paths):
            yield Frame(index, path.stem, _content(path), path)


def open_source(spec: Spec | Sequence[Spec]) -> PictureFiles:
    """Opens a picture, a folder, a pattern, or several of them in the order given.

    A folder stands for the pictures in it and in all its subfolders; hidden ones (`.name`) are left out. Folders and
    patterns give files with a picture's extension, in natural order (`2.jpg` before `10.jpg`); a file that is named by
    itself is read whatever its extension. A file that is named twice is read once.

    Raises:
        ImageError: There is no such file or folder, or no picture in it.
    """
    specs = [spec] if isinstance(spec, (str, Path)) else list(spec)
    if not specs:
        raise ImageError("no source was given; expected a picture, a folder or a pattern")
    return PictureFiles(tuple(dict.fromkeys(path for one in specs for path in _expand(one))))


def _expand(spec: Spec) -> list[Path]:
    path = Path(spec)
    if path.is_dir():
        found = [p for p in path.rglob("*") if not any(part.startswith(".") for part in p.relative_to(path).parts)]
        return _pictures(found, spec)
    if path.exists():
        return [path]
    if glob.has_magic(str(spec)):
        return _pictures([Path(match) for match in glob.glob(str(spec), recursive=True)], spec)  # noqa: PTH207 - absolute
    raise ImageError(
        f"{spec}: there is no such file or folder; expected a picture, a folder or a pattern like 'dir/*.jpg'"
    )


def _pictures(paths: list[Path], spec: Spec) -> list[Path]:
    found = [path for path in paths if path.suffix.lower() in PICTURE_EXTENSIONS and path.is_file()]
    if not found:
        raise ImageError(f"{spec}: holds no pictures; expected files with {', '.join(sorted(PICTURE_EXTENSIONS))}")
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts by folder, then digits as numbers; the text itself decides between `01` and `1`."""
    parts = re.split(r"(\d+)", path.as_posix().casefold())
    return [(int(part) if part.isdecimal() else -1, part) for part in parts]


def _content(path: Path) -> RGBImage | ImageError:
    try:
        return read_image(path)
    except ImageError as error:
        return error
