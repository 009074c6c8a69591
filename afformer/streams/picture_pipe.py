"""Pictures one after the other in one stream of bytes: `cat *.jpg`, FFmpeg's image2pipe, a `.mjpeg` file."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from afformer.decoding import JPEG, PNG, jpeg
from afformer.errors import ImageError
from afformer.images import RGBImage, decode_image
from afformer.streams.frames import Frame, FrameSource

_BLOCK = 1 << 16
_LONGEST = 1 << 30
"""Bytes after which a picture without an end is given up."""
_PADDING = b"\0\r\n"
_PNG_END = b"IEND\xaeB`\x82"


class Readable(Protocol):
    """A file that can only be read forwards."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, as soon as there are some; none at the end."""
        ...


class Descriptor:
    """Reads a file descriptor, without Python's buffer, whose lock would hang the exit of a program that is reading."""

    def __init__(self, number: int) -> None:
        self._number = number

    def read(self, size: int, /) -> bytes:  # noqa: D102 - see Readable
        return os.read(self._number, max(1, min(size, _BLOCK)))


class Ahead:
    """A file of which the first bytes can be looked at before they are read."""

    def __init__(self, file: Readable) -> None:
        self._file, self._ahead, self._ended = file, bytearray(), False

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end; they stay to be read."""
        while len(self._ahead) < size and self.more():
            pass
        return bytes(self._ahead[:size])

    def more(self) -> bool:
        """Reads another block ahead; False at the end."""
        block = b"" if self._ended else self._file.read(_BLOCK)
        self._ended = not block
        self._ahead += block
        return bool(block)

    @property
    def ahead(self) -> bytearray:
        """What has been read ahead."""
        return self._ahead

    def read(self, size: int = _BLOCK, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        if not self._ahead:
            return b"" if self._ended else self._file.read(size)
        data = bytes(self._ahead[:size])
        del self._ahead[:size]
        return data

    def rest(self, limit: int) -> bytes:
        """All bytes up to the end, `limit` of them at most."""
        return self.peek(limit)


class PicturePipe(FrameSource):
    """JPEG and PNG pictures that follow each other, each decoded as its file would be. They may differ in size.

    They have neither a rate nor time stamps. A single one is a still picture. A file can be read several times.

    Args:
        file: An open file, or the path of one.
        title: What messages call it.
        name: What outputs are named after.
    """

    def __init__(self, file: Ahead | Path, title: str, name: str) -> None:
        self._path = file if isinstance(file, Path) else None
        self._opened = file if isinstance(file, Ahead) else None
        self._title, self.name = title, name
        self.paths = (self._path,) if self._path else ()
        self._first: Iterator[bytes | ImageError] | None = self._pictures()
        self._begin = list(itertools.islice(self._first, 2))
        self.still = len(self._begin) == 1
        self.length = 1 if self.still else None

    def __iter__(self) -> Iterator[Frame]:
        items = itertools.chain(self._begin, self._first) if self._first else self._pictures()
        self._begin, self._first = [], None
        for index, item in enumerate(items):
            yield self._frame(index, item)

    def _frame(self, index: int, data: bytes | ImageError) -> Frame:
        name = self.name if self.still else f"{self.name}_{index:06d}"
        return Frame(index, name, self._content(data, index), self._path)

    def _content(self, data: bytes | ImageError, index: int) -> RGBImage | ImageError:
        if isinstance(data, ImageError):
            return data
        try:
            return decode_image(data, self._title if self.still else f"{self._title}, picture {index + 1}")
        except ImageError as error:
            return error

    def _pictures(self) -> Iterator[bytes | ImageError]:
        if self._path:
            with self._path.open("rb", buffering=0) as file:
                yield from split(Ahead(file), self._title)
        elif self._opened:
            yield from split(self._opened, self._title)


def split(file: Ahead, title: str) -> Iterator[bytes | ImageError]:
    """The bytes of each picture; an error at the end if the last one is cut off, or something else follows.

    What follows a single picture is part of its file: a phone's photo has other versions of it behind it.
    """
    number, parts = 0, 0
    while head := _skip_padding(file):
        if not head.startswith((JPEG, PNG)):
            if number > 1:
                yield ImageError(f"{title}: holds something that is not a JPEG or PNG after {number} pictures")
            return
        is_png = head.startswith(PNG)
        data = _take(file, is_png)
        if parts:
            parts -= 1
            continue
        number += 1
        parts = 0 if is_png else jpeg.versions(data) - 1
        yield data


def _skip_padding(file: Ahead) -> bytes:
    while (head := file.peek(8)) and head[0] in _PADDING:
        file.read(1)
    return head


def _take(file: Ahead, is_png: bool) -> bytes:
    """The next picture, up to its end, or that of the file."""
    end, at = None, 2
    while end is None:
        end, at = _find_png_end(file.ahead, at) if is_png else jpeg.find_end(file.ahead, at)
        if end is None and (len(file.ahead) > _LONGEST or not file.more()):
            break
    return file.read(end or len(file.ahead))


def _find_png_end(data: bytearray, at: int) -> tuple[int | None, int]:
    found = data.find(_PNG_END, at)
    return (None, max(at, len(data) - len(_PNG_END))) if found < 0 else (found + len(_PNG_END), found)
