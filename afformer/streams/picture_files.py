"""Picture files as a source: single ones, folders, patterns, numbered sequences."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from afformer.datasets import PICTURE_EXTENSIONS, visible_files
from afformer.errors import ImageError
from afformer.images import RGBImage, read_image
from afformer.streams.frames import Frame, FrameSource

_NUMBER = re.compile(r"%(?:0?(\d+))?d")


class PictureFiles(FrameSource):
    """Picture files, read one at a time. One that cannot be read becomes a frame with an error.

    Args:
        paths: The files, in the order in which they are read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self.length = len(self.paths)
        self.name = self.paths[0].stem if self.length == 1 else "pictures"

    def __iter__(self) -> Iterator[Frame]:
        for index, path in enumerate(self.paths):
            yield Frame(index, path.stem, _content(path), path)


def open_pictures(location: str | Path | Sequence[str | Path]) -> PictureFiles:
    """Opens a picture, a folder, a pattern, a numbered sequence, or several of them in the order given.

    A folder stands for the pictures in it and in all its subfolders, except hidden ones (`.name`). Folders, patterns
    and sequences yield files with a picture's extension, in natural order (`2.jpg` before `10.jpg`); a file that is
    named by itself is read whatever its extension. A file that is named twice is read once.

    Raises:
        ImageError: There is no such file or folder, or no picture in it.
    """
    locations = [location] if isinstance(location, (str, Path)) else list(location)
    if not locations:
        raise ImageError("no source was given; expected a picture, a folder or a pattern")
    return PictureFiles(tuple(dict.fromkeys(path for one in locations for path in _expand(one))))


def _expand(location: str | Path) -> list[Path]:
    path = Path(location)
    if path.is_dir():
        return _pictures(visible_files(path, PICTURE_EXTENSIONS), location)
    if path.exists():
        return [path]
    if _NUMBER.search(path.name):
        return _sequence(path)
    if glob.has_magic(str(location)):
        return _pictures([Path(match) for match in glob.glob(str(location), recursive=True)], location)  # noqa: PTH207 - absolute
    raise ImageError(
        f"{location}: there is no such file or folder; expected a picture, a folder, a pattern like 'dir/*.jpg', a "
        "video, the number of a camera, or the URL of a stream"
    )


def _sequence(location: Path) -> list[Path]:
    """The files of a numbered sequence: `%d` stands for any number, `%04d` for one of four digits or more."""
    regex, end = "", 0
    for number in _NUMBER.finditer(location.name):
        width = int(number[1] or 1)
        regex += re.escape(location.name[end : number.start()]) + rf"\d{{{width},}}"
        end = number.end()
    whole = re.compile(regex + re.escape(location.name[end:]))
    found = location.parent.iterdir() if location.parent.is_dir() else ()
    return _pictures([path for path in found if whole.fullmatch(path.name)], location)


def _pictures(paths: list[Path], location: str | Path) -> list[Path]:
    # A link to nowhere is kept, so that it is reported like any other unreadable file.
    named = [path for path in paths if path.suffix.lower() in PICTURE_EXTENSIONS]
    found = [path for path in named if path.is_file() or path.is_symlink()]
    if not found:
        raise ImageError(f"{location}: holds no pictures; expected files with {', '.join(sorted(PICTURE_EXTENSIONS))}")
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts digits as numbers; the text itself decides between `01` and `1`."""
    parts = re.split(r"(\d+)", path.as_posix().casefold())
    return [(int(part) if part.isdecimal() else -1, part) for part in parts]


def _content(path: Path) -> RGBImage | ImageError:
    try:
        return read_image(path)
    except ImageError as error:
        return error
