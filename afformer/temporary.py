"""Temporary names for files and folders that are being written.

An output has a few such names of its own, in order, so that its next run finds what a killed one has left and removes
it. A process holds a lock on the name it works under, which the system releases however the process ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
import stat
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_NAMES = 8
"""Processes that may write the same output at once; any more get random names, whose leftovers nobody finds."""


@contextlib.contextmanager
def temporary_file(output: Path) -> Iterator[Path]:
    """An empty file beside `output`, with its suffix; removed afterwards unless it was renamed.

    Raises:
        OSError: It cannot be made.
        ValueError: The path holds a NUL character.
    """
    with _claimed(output.parent, output.name, output.suffix, folder=False) as path:
        yield path


@contextlib.contextmanager
def temporary_folder(output: Path) -> Iterator[Path]:
    """An empty folder beside `output`; removed afterwards with all that is in it, unless it was renamed.

    Raises:
        OSError: It cannot be made.
        ValueError: The path holds a NUL character.
    """
    with _claimed(output.parent, output.name, "", folder=True) as path:
        yield path


@contextlib.contextmanager
def working_folder(output: Path) -> Iterator[Path]:
    """An empty folder in the system's temporary one, for what is needed on the way to `output`; removed afterwards.

    Raises:
        OSError: It cannot be made.
    """
    with _claimed(Path(tempfile.gettempdir()), str(output.absolute()), "", folder=True, mode=0o700) as path:
        yield path


@contextlib.contextmanager
def _claimed(place: Path, key: str, suffix: str, *, folder: bool, mode: int = 0o777) -> Iterator[Path]:
    digest = hashlib.sha256(os.fsencode(key)).hexdigest()[:16]
    names = [place / f".afformer-{digest}-{number}{suffix}" for number in range(_NAMES)]
    other = place / f".afformer-{uuid.uuid4().hex}{suffix}"
    if sys.platform == "win32":  # an open file can be neither renamed nor removed there
        with _unlocked(other, folder) as path:
            yield path
        return
    path, lock = _first_free(names, other, folder, mode)
    try:
        for later in itertools.takewhile(os.path.lexists, names[names.index(path) + 1 :] if path in names else []):
            _remove_if_left(later)
        yield path
    finally:
        _remove(path, lock)
        os.close(lock)


@contextlib.contextmanager
def _unlocked(path: Path, folder: bool) -> Iterator[Path]:
    path.mkdir() if folder else path.touch()
    try:
        yield path
    finally:
        if folder:
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _first_free(paths: list[Path], other: Path, folder: bool, mode: int) -> tuple[Path, int]:
    for path in paths:
        if not os.path.lexists(path) or _remove_if_left(path):
            with contextlib.suppress(FileExistsError, BlockingIOError):  # another process was faster
                return path, _make(path, folder, mode)
    return other, _make(other, folder, mode)


def _make(path: Path, folder: bool, mode: int) -> int:
    """Makes the file or folder and holds its lock."""
    if folder:
        path.mkdir(mode)
    lock = os.open(path, os.O_RDONLY if folder else os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        _lock(lock)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _remove_if_left(path: Path) -> bool:
    """Removes what a process of this user has left that no longer lives; says whether the name is free now."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return True
    except OSError:  # a link, or somebody else's
        return False
    try:
        found = os.fstat(lock)
        ours = found.st_uid == os.geteuid() and (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))
        if not ours:
            return False
        _lock(lock)
        return _remove(path, lock)
    except BlockingIOError:  # its process is still running
        return False
    finally:
        os.close(lock)


def _remove(path: Path, lock: int) -> bool:
    """Removes a file or folder, if the name still stands for the locked one; says whether the name is free now."""
    try:
        if not os.path.samestat(path.lstat(), os.fstat(lock)):
            return False
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except (FileNotFoundError, NotADirectoryError):  # it was renamed or removed
        pass
    return True


def _lock(file: int) -> None:
    """Locks without waiting; where a file system has no locks, nothing is locked.

    Raises:
        BlockingIOError: Another process holds the lock.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return
