"""What a caller names as pictures for a cluster -> items, one a picture, each once."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import pyarrow
import pyarrow.fs

from afformer.batch.choices import BatchOptions
from afformer.batch.places import Remote, local_path, locate, read_bytes, without_options
from afformer.batch.tables import Columns, paths_of
from afformer.errors import AfformerError, ImageError
from afformer.streams.addresses import is_url
from afformer.streams.file_names import find_files, picture_extensions

PARQUET_EXTENSIONS = frozenset({".parquet", ".pq"})
LIST_EXTENSIONS = frozenset({".txt", ".lst", ".list"})


@dataclasses.dataclass(frozen=True)
class Item:
    """A picture to segment.

    Attributes:
        path: The picture's path or URL; of bytes without one, `FILE#ROW`.
        table: The Parquet file that holds its bytes; empty if `path` leads to them.
        row: Its row there, from 0.
    """

    path: str
    table: str = ""
    row: int = 0

    @property
    def key(self) -> str:
        """What no other picture is called, in a form that Parquet can hold."""
        return storable(f"{self.table}#{self.row}" if self.table else self.path)


def storable(location: str) -> str:
    """A path or URL as results name it: without secrets, and bytes that are not UTF-8 as escapes."""
    shown = without_options(location) if is_url(location) else location
    return shown.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def find_items(sources: Sequence[str], options: BatchOptions) -> list[Item]:
    """The pictures that are meant, in order; what is named twice is taken once.

    A source is a folder, a picture, a pattern, a text file with a path or URL a line (`-` is stdin), or a Parquet file.
    Folders stand for the pictures and Parquet files in them. All of these may be behind a URL.

    Raises:
        AfformerError: A source is missing, cannot be read or holds no pictures.
    """
    found: dict[str, Item] = {}
    for source in sources:
        for item in _items(source, options):
            found.setdefault(item.key, item)
    if not found:
        raise ImageError(f"{', '.join(map(storable, sources))}: names no pictures; expected one or more")
    return list(found.values())


def _items(source: str, options: BatchOptions) -> Iterator[Item]:
    path = local_path(source)
    if source == "-":
        yield from _listed(sys.stdin.read(), str(Path.cwd()))
    elif path is None:
        yield from _remote_items(source, options)
    elif path.is_file() and path.suffix.lower() in LIST_EXTENSIONS:
        text = read_bytes(source).decode("utf-8-sig", "surrogateescape")
        yield from _listed(text, str(path.absolute().parent))
    else:
        files = find_files(path, picture_extensions() | PARQUET_EXTENSIONS)
        yield from _of_files([str(file.absolute()) for file in files], options)


def _of_files(files: list[str], options: BatchOptions) -> Iterator[Item]:
    for file in files:
        if _suffix(file) in PARQUET_EXTENSIONS:
            yield from _rows(file, Columns(options.path_column, options.bytes_column))
        else:
            yield Item(file)


def _listed(text: str, folder: str) -> Iterator[Item]:
    """Of a path or URL a line; relative paths start at the folder."""
    for line in filter(None, map(str.strip, text.split("\n"))):
        yield Item(_joined(folder, line))


def _rows(file: str, columns: Columns) -> Iterator[Item]:
    paths, has_bytes = paths_of(file, columns)
    parent = file.rpartition("/")[0]
    for row, path in enumerate(paths):
        if has_bytes:
            yield Item(path or f"{file}#{row}", file, row)
        else:
            yield Item(_joined(parent, path) if path else f"{file}#{row}")


def _joined(folder: str, path: str) -> str:
    """A path that may be relative to a folder, which may be a URL."""
    if is_url(path):
        return path
    if is_url(folder) and not path.startswith("/"):
        return f"{folder}/{path}"
    return os.path.normpath(Path(folder, path))


def _remote_items(url: str, options: BatchOptions) -> Iterator[Item]:
    remote = locate(url)
    try:
        is_file, paths = _paths_at(remote)
    except (OSError, pyarrow.ArrowException) as error:
        raise AfformerError(f"{storable(url)}: cannot be listed ({error}); check the URL and credentials") from error
    if is_file and _suffix(remote.path) in LIST_EXTENSIONS:
        text = read_bytes(url).decode("utf-8-sig", "surrogateescape")
        yield from _listed(text, url.rpartition("/")[0])
        return
    known = picture_extensions() | PARQUET_EXTENSIONS
    chosen = paths if is_file else sorted(path for path in paths if _suffix(path) in known)
    yield from _of_files([remote.url(path) for path in chosen], options)


def _paths_at(remote: Remote) -> tuple[bool, list[str]]:
    """Whether it is a file, and the paths of all files there."""
    path = remote.path.rstrip("/")
    kind = remote.filesystem.get_file_info(path).type
    if kind == pyarrow.fs.FileType.NotFound:
        raise ImageError(f"{remote.url(path)}: there is no such file or folder; check the URL and credentials")
    if kind == pyarrow.fs.FileType.File:
        return True, [path]
    entries = remote.filesystem.get_file_info(pyarrow.fs.FileSelector(path, recursive=True))
    return False, [entry.path for entry in entries if entry.is_file]


def _suffix(path: str) -> str:
    """The extension of a path or URL, in lower case; a URL's options are left out."""
    return PurePosixPath(without_options(path) if is_url(path) else path).suffix.lower()
