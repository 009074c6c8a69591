"""Standard streams as commands find them: closed, closed later, or unable to hold every character of a file's name."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from typing import Any, TextIO

_KEEPING = "afformer-keeping"


class _Outlet(io.FileIO):
    """A stream that may come to an end before the command does.

    If its reader goes away, what is written after that is dropped, and the work goes on. Any other failure, such as a
    full disk, is raised once: Python writes what is left in its buffer again when the process ends.
    """

    reader_gone = False
    _failed = False

    def write(self, data: Any, /) -> int:
        """Writes as much as the system takes."""
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            self.reader_gone = True
        except OSError:
            if not self._failed:
                self._failed = True
                raise
        return memoryview(data).nbytes


def prepare_streams() -> None:
    r"""Makes stdin, stdout and stderr usable whatever they are; to be called before any file is opened.

    1. A closed one becomes `/dev/null`. Otherwise the next file to be opened would take its number, and messages of
       native libraries would go into it.
    2. If the reader of stdout or stderr goes away, as `head` does, the command still does its work.
    3. The bytes of names that are not UTF-8 are written as they are, and characters that the encoding lacks as escapes
       (`\u20ac`).
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    codecs.register_error(_KEEPING, _kept)
    sys.stdout, sys.stderr = _prepared(sys.stdout, 1), _prepared(sys.stderr, 2)


def _prepared(stream: TextIO | None, number: int) -> TextIO:
    """The stream; one that does not stand for a file, as in tests and notebooks, is left as it is."""
    if stream is not None:
        with contextlib.suppress(io.UnsupportedOperation, AttributeError):
            if stream.fileno() == number:
                stream.flush()
                return _text(number, stream.encoding, line_buffering=number == 2 or stream.isatty())
        return stream
    return _text(number, "utf-8", line_buffering=True)


def _text(number: int, encoding: str, *, line_buffering: bool) -> TextIO:
    raw = _Outlet(number, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, _KEEPING, line_buffering=line_buffering)


def _kept(error: UnicodeError) -> tuple[bytes, int]:
    """What stands for characters that cannot be encoded; called by the codec."""
    assert isinstance(error, UnicodeEncodeError), "it is only used to write"
    return b"".join(map(_byte_or_escape, error.object[error.start : error.end])), error.end


def _byte_or_escape(character: str) -> bytes:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # stands for a byte, see PEP 383
        return bytes([code - 0xDC00])
    return character.encode("ascii", "backslashreplace")
