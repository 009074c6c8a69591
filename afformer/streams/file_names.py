"""What a user may name as files: single ones, folders, patterns, numbered sequences -> paths."""

from __future__ import annotations

import collections
import glob
import importlib.util
import logging
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from afformer.datasets import PICTURE_EXTENSIONS
from afformer.errors import ImageError
from afformer.streams.addresses import without_secrets
from afformer.streams.picture_files import PictureFiles

log = logging.getLogger(__name__)

_NUMBER = re.compile(r"%(?:0?(\d+))?d")
_RAW = "arw cr2 cr3 dng nef orf pef raf raw rw2 srw"
_HEIF = frozenset({".heic", ".heif"})
_UNREADABLE = _HEIF | {f".{name}" for name in f"{_RAW} jxl psd svg xcf".split()}
"""Extensions of pictures that are left out of folders, but counted."""


def open_pictures(location: str | Path | Sequence[str | Path]) -> PictureFiles:
    """Opens a picture, a folder, a pattern, a numbered sequence, or several of them in the order given.

    See `find_files` for what they stand for.

    Raises:
        ImageError: There is no such file or folder, or no picture in it.
    """
    return PictureFiles(find_files(location, picture_extensions()))


def picture_extensions() -> frozenset[str]:
    """Extensions of pictures that can be read here, in lower case: HEIC only where its package is installed."""
    heif = _HEIF if importlib.util.find_spec("pillow_heif") else frozenset[str]()
    return PICTURE_EXTENSIONS | heif


def find_files(location: str | Path | Sequence[str | Path], extensions: Collection[str]) -> list[Path]:
    """The files that are meant.

    A folder stands for the files in it and in all its subfolders, except hidden ones (`.name`); linked folders belong
    to it, and each folder is visited once, however many links lead to it. Folders, patterns and sequences yield files
    with one of the extensions, in natural order (`2.jpg` before `10.jpg`); pictures in formats that cannot be read are
    counted in a warning. A file that is named by itself is taken whatever its extension. A file that is named twice is
    taken once.

    Args:
        location: One or several files, folders, patterns or sequences.
        extensions: In lower case, with a dot.

    Raises:
        ImageError: There is no such file or folder, or no such file in it.
    """
    locations = [location] if isinstance(location, (str, Path)) else list(location)
    if not locations:
        raise ImageError("no source was given; expected a picture, a folder or a pattern")
    return list(dict.fromkeys(path for one in locations for path in _expand(one, extensions)))


def _expand(location: str | Path, extensions: Collection[str]) -> list[Path]:
    path = Path(location)
    if path.is_dir():
        return _chosen(_walk(path), location, extensions)
    if path.exists() or path.is_symlink():
        return [path]
    if _NUMBER.search(path.name):
        return _chosen(_sequence(path), location, extensions)
    if glob.has_magic(str(location)):
        found = glob.glob(_pattern(path), recursive=True)  # noqa: PTH207 - absolute, and pathlib's * takes hidden files
        return _chosen(map(Path, found), location, extensions)
    raise ImageError(
        f"{without_secrets(str(location))}: there is no such file or folder; expected a picture, a folder, a pattern "
        "like 'dir/*.jpg', a video, the number of a camera, or the URL of a stream"
    )


def _walk(folder: Path) -> Iterator[Path]:
    """The files of a folder and its subfolders, which links may lead to; each folder once."""
    seen: set[str] = set()
    waiting, links = collections.deque([folder]), collections.deque[Path]()
    while waiting or links:
        here = waiting.popleft() if waiting else links.popleft()
        real = os.path.realpath(here)
        if real in seen:
            continue
        seen.add(real)
        try:
            entries = sorted(here.iterdir(), key=natural)
        except OSError as error:
            raise ImageError(f"{here}: cannot be read ({error.strerror}); check its permissions") from error
        shown = [path for path in entries if not path.name.startswith(".")]
        for path in filter(Path.is_dir, shown):
            (links if path.is_symlink() else waiting).append(path)
        yield from (path for path in shown if not path.is_dir())


def _pattern(path: Path) -> str:
    """The pattern, with folders that exist as they are written taken by their names, brackets and all."""
    fixed = Path(path.anchor)
    parts = list(path.parts[1:] if path.anchor else path.parts)
    while parts and (fixed / parts[0]).is_dir():
        fixed /= parts.pop(0)
    return os.path.join(glob.escape(str(fixed)), *parts)  # noqa: PTH118 - a pattern is not a path


def _sequence(location: Path) -> list[Path]:
    """The files of a numbered sequence: `%d` stands for any number, `%04d` for one of four digits or more."""
    regex, end = "", 0
    for number in _NUMBER.finditer(location.name):
        width = int(number[1] or 1)
        regex += re.escape(location.name[end : number.start()]) + rf"\d{{{width},}}"
        end = number.end()
    whole = re.compile(regex + re.escape(location.name[end:]))
    found = location.parent.iterdir() if location.parent.is_dir() else ()
    return [path for path in found if whole.fullmatch(path.name)]


def _chosen(paths: Iterable[Path], location: str | Path, extensions: Collection[str]) -> list[Path]:
    # A link to nowhere is kept, so that it is reported like any other unreadable file.
    files = [path for path in paths if path.is_file() or (path.is_symlink() and not path.exists())]
    found = [path for path in files if path.suffix.lower() in extensions]
    kinds = collections.Counter(path.suffix.lower() for path in files if path.suffix.lower() in _UNREADABLE)
    left = ", ".join(f"{number} {suffix}" for suffix, number in sorted(kinds.items()) if suffix not in extensions)
    if not found:
        also = f" (but {left}, which cannot be read)" if left else ""
        raise ImageError(f"{location}: holds no pictures{also}; expected files with {', '.join(sorted(extensions))}")
    if left:
        log.warning("%s: files in formats that cannot be read are left out: %s", location, left)
    return sorted(found, key=natural)


def natural(path: Path) -> list[tuple[int, str]]:
    """A sort key by which digits count as numbers; the text itself decides between `01` and `1`."""
    parts = re.split(r"(\d+)", path.as_posix().casefold())
    return [(int(part) if part.isdecimal() else -1, part) for part in parts]
