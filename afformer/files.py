"""Files that are written whole or not at all, and their digests."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from afformer.errors import OutputError
from afformer.temporary import temporary_file, temporary_folder

AnyPath = str | os.PathLike[str]
"""What a caller may name a file with."""
CHECKPOINT_SUFFIXES = (".pth", ".pt", ".safetensors")


def json_text(content: Any, *, indent: int | None = None, encoding: str = "utf-8") -> str:
    """JSON that the encoding can hold: characters as they are, or else all escaped.

    File names may hold bytes that are not UTF-8. Python has lone surrogates for them (PEP 383), which no encoding can
    hold, but JSON can escape: `json.loads` and `os.fsencode` give the bytes back.
    """
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(content, indent=indent)
    return text


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields an empty file beside `path`; what is written there replaces `path` if the block raises nothing.

    What an earlier, killed run of the same output has left is removed.

    Raises:
        OutputError: The folder is missing, full or write-protected.
    """
    check_name(path)
    with _writing(path), temporary_file(path) as temporary:
        yield temporary
        temporary.replace(path)


def write_file(path: Path, data: bytes | memoryview) -> None:
    """Writes a file through `replacing`.

    Raises:
        OutputError: The folder is missing, full or write-protected.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def check_writable(path: Path, inputs: Iterable[Path | None] = ()) -> None:
    """Refuses a path that cannot be written to, before the work is done; creates missing parent folders.

    Args:
        path: The file to write.
        inputs: Files that the work reads; None is left out. The result must not replace them, under whatever name.

    Raises:
        OutputError: `path` is a folder or one of the inputs, or nothing can be written beside it.
    """
    check_name(path)
    for source in filter(None, inputs):
        if file_identity(path) is not None and file_identity(path) == file_identity(source):
            raise OutputError(f"{path}: is the input {source} itself and is not overwritten; choose another name")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, expected a file name to write to")
    make_folder(path.parent)
    with _writing(path), temporary_file(path):
        pass


def file_identity(path: Path) -> tuple[int, int] | None:
    """Identifies a file under all its names, links included; None if there is no such file."""
    try:
        found = path.stat()
    except OSError:  # missing or unreachable: opening it reports that
        return None
    return found.st_dev, found.st_ino


def make_folder(path: Path) -> None:
    """Creates a folder and its parents, unless it exists.

    Raises:
        OutputError: It is a file, or cannot be created.
    """
    check_name(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be created as a folder ({error.strerror}); choose another place") from error


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yields an empty folder, which becomes `folder` if the block raises nothing, so that it is never half-full.

    Args:
        folder: The folder to make; must be empty or not exist.

    Raises:
        OutputError: It is not empty, is the current folder, or cannot be written.
    """
    check_name(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is not a folder; name a new one")
    if folder.exists() and any(folder.iterdir()):
        raise OutputError(f"{folder}: is not empty; name a new folder")
    if folder.resolve() == Path.cwd():
        raise OutputError(f"{folder}: is the current folder, which cannot be replaced; name a new one")
    place = folder.resolve()  # of a link, the folder that it names
    make_folder(place.parent)
    try:
        with temporary_folder(place) as draft:
            yield draft
            if place.exists():
                place.rmdir()
            draft.rename(place)
    except OSError as error:  # that of shutil for several files has no text but a list
        reason = error.strerror or "some files cannot be copied"
        raise OutputError(f"{folder}: cannot be written ({reason}); choose another place") from error


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turns the system's errors into one line about `path`."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from error


def check_name(path: Path) -> None:
    """Refuses names that no file or folder can have.

    Raises:
        OutputError: The path holds a NUL character.
    """
    if "\0" in str(path):  # the system's functions raise a ValueError, which would look like a bug of ours
        raise OutputError(f"{str(path)!r}: holds a NUL character, which no path may; choose another place")


def sha256(path: Path) -> str:
    """The file's SHA-256 in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
