"""Files that are written whole or not at all, and their digests."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path

from afformer.errors import OutputError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; what is written there replaces `path` if the block raises nothing.

    Raises:
        OutputError: The folder is missing, full or write-protected.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        try:
            yield temporary
            temporary.replace(path)
        finally:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # renamed, or never made
                temporary.unlink()
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from error


def write_file(path: Path, data: bytes) -> None:
    """Writes a file through `replacing`.

    Raises:
        OutputError: The folder is missing, full or write-protected.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def check_writable(path: Path) -> None:
    """Refuses a path before the work whose result could not be written there; creates missing parent folders.

    Raises:
        OutputError: `path` is a folder, or nothing can be written beside it.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, expected a file name to write to")
    make_folder(path.parent)
    probe = path.with_name(f".{uuid.uuid4().hex}")
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


def make_folder(path: Path) -> None:
    """Creates a folder and its parents, unless it exists.

    Raises:
        OutputError: It is a file, or cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be created as a folder ({error.strerror}); choose another place") from error


def sha256(path: Path) -> str:
    """The file's SHA-256 in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
