"""The bytes of a regular file, read in pieces whose bounds are checked."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from afformer.model.reading.faults import DamageError, RefusalError

# Without these flags a FIFO with no writer would block, and a terminal would become the controlling one.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


class Source:
    """An open file.

    Attributes:
        size: Bytes, when it was opened.
    """

    def __init__(self, file: io.FileIO, size: int) -> None:
        self._file = file
        self.size = size

    def read(self, at: int, count: int) -> bytes:
        """`count` bytes from `at` on.

        Raises:
            DamageError: The file has fewer, or its disk fails.
        """
        buffer = bytearray(self._checked(at, count))
        self._fill(at, memoryview(buffer))
        return bytes(buffer)

    def tensor(self, at: int, count: int) -> Tensor:
        """`count` bytes from `at` on, as `(count,)` uint8 in memory of its own.

        Raises:
            DamageError: The file has fewer, or its disk fails.
            RefusalError: There is no memory for them.
        """
        try:
            found = torch.empty(self._checked(at, count), dtype=torch.uint8)
        except RuntimeError as error:  # what torch raises when memory runs out
            raise RefusalError(f"{count:,} bytes of memory are needed for one tensor; free some") from error
        self._fill(at, memoryview(found.numpy()))  # type: ignore[arg-type]  # an array is a buffer, say its types or not
        return found

    def _checked(self, at: int, count: int) -> int:
        if at < 0 or count < 0 or at + count > self.size:
            raise DamageError(f"bytes {at:,} to {at + count:,} lie outside the file of {self.size:,} bytes")
        return count

    def _fill(self, at: int, rest: memoryview) -> None:
        try:
            self._file.seek(at)
            count = self._file.readinto(rest)
            while count != len(rest):  # a read stops early at 2 GB
                if not count:
                    raise DamageError("it became shorter while it was read")
                rest = rest[count:]
                count = self._file.readinto(rest)
        except OSError as error:
            raise DamageError(f"byte {at:,} cannot be read: {error.strerror}") from error


@contextlib.contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Opens a regular file; waits for nothing and opens nothing else.

    Raises:
        RefusalError: There is not a regular file there, it is empty, or it may not be read.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise RefusalError("the file is empty (0 bytes), not a checkpoint; download or copy it again")
        yield Source(file, size)


def _opened(path: Path) -> io.FileIO:
    try:
        _require_regular(path.stat())  # before it is opened, which would rewind a tape
        file = io.FileIO(os.open(path, _FLAGS))
    except FileNotFoundError as error:
        raise RefusalError("there is no such checkpoint file; check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise RefusalError(f"the checkpoint file cannot be opened ({reason}); check the path and its rights") from error
    try:
        _require_regular(os.fstat(file.fileno()))
    except RefusalError:
        file.close()
        raise
    return file


def _require_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise RefusalError("there is no such checkpoint file, this is a folder or a device; check the path")
