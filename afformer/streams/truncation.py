"""Whether a video file is cut short, by the sizes that its container states, not by counting frames.

A container's number of frames says nothing about that: an edit list may show only some of them, and the sound may be
longer than the film. Formats that state no sizes, such as MPEG program streams and raw H.264, cannot tell.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"moof", b"pnot")
_MORE_BOXES = (b"sidx", b"mfra", b"meta", b"uuid", b"udta", b"emsg", b"prft")
_SEGMENT = 0x18538067
_TS_PACKETS = ((188, 0), (192, 4))
"""Size of a packet and where its sync byte is: MPEG-TS, and M2TS with a time before each packet."""
_SYNC = b"\x47"
_ASF_HEADER = b"0&\xb2u\x8ef\xcf\x11"
_FLV_TAGS = (8, 9, 18)
_GIF_EXTENSION, _GIF_PICTURE = b"!", b","


def missing_bytes(path: Path) -> int:
    """How many bytes are missing at the file's end, at least; 0 if none are, or if the format does not tell."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        for starts, end in _FORMATS:
            if starts(head):
                return max(0, end(file, size) - size)
    return 0


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    """Where the last box of an MP4 or QuickTime file ends (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if length < 8:  # 0: up to the end of the file; anything else is not a box
            return size
        if at + length > size and head[4:8] not in _BOXES + _MORE_BOXES:  # something else was appended
            return size
        at += length
    return at


def _end_of_segment(file: BinaryIO, size: int) -> int:
    """Where the first segment of a Matroska or WebM file ends (RFC 8794).

    If it does not say, as live ones do, where the last element in it ends.
    """
    file.seek(0)
    inside = False
    while file.tell() < size:
        name, length = _number(file, keep_length=True), _number(file)
        if name is None or file.tell() > size:
            return 0
        if name == _SEGMENT and length is not None:
            return file.tell() + length
        inside = inside or name == _SEGMENT
        if length is None:  # what is in it follows
            continue
        if not inside and file.tell() + length > size:
            return 0
        file.seek(length, os.SEEK_CUR)
    return file.tell()


def _number(file: BinaryIO, *, keep_length: bool = False) -> int | None:
    """A number of variable length; None at the end of the file, or if it is one that means "unknown"."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    data = first + file.read(length - 1)
    value = int.from_bytes(data, "big")
    if keep_length:
        return value
    value &= (1 << 7 * length) - 1
    return None if value == (1 << 7 * length) - 1 else value


def _end_of_riff(file: BinaryIO, size: int) -> int:
    """Where the last of an AVI file's RIFF chunks ends (large files have several)."""
    at = 0
    while at + 12 <= size:
        file.seek(at)
        head = file.read(8)
        if head[:4] != b"RIFF":
            return size
        length = int.from_bytes(head[4:], "little")
        if length in (0, 0xFFFFFFFF):  # written to a pipe
            return size
        at += 8 + length + length % 2
    return at - at % 2 if at == size + 1 else at


def _end_of_packets(file: BinaryIO, size: int) -> int:
    """Where the last packet of a transport stream ends (ISO/IEC 13818-1, 2.4.3)."""
    for length, sync_at in _TS_PACKETS:
        file.seek(0)
        data = file.read(3 * length + sync_at + 1)
        if len(data) > length + sync_at and set(data[sync_at::length]) == {_SYNC[0]}:
            file.seek(size - size % length + sync_at)
            started = file.read(1) in (_SYNC, b"")  # else something else was appended
            return size + -size % length * started
    return size


def _end_of_flv(file: BinaryIO, size: int) -> int:
    """Where the last tag of a Flash video ends: 4 bytes of the length before, kind, length in 3 bytes, 7 more."""

    def lengths() -> Iterator[int]:
        while len(head := file.read(15)) > 4 and head[4] in _FLV_TAGS:
            yield 15 + int.from_bytes(head[5:8], "big") - len(head)

    return _last_end(file, 9, lengths())


def _end_of_asf(file: BinaryIO, size: int) -> int:
    """Where the last object of an ASF or WMV file ends: a GUID of 16 bytes and the length of the whole in 8."""

    def lengths() -> Iterator[int]:
        while len(head := file.read(24)) == 24 and (length := int.from_bytes(head[16:], "little")) >= 24:
            yield length - 24

    return _last_end(file, 0, lengths())


def _end_of_ogg(file: BinaryIO, size: int) -> int:
    """Where the last page of an Ogg file ends (RFC 3533, 6)."""

    def lengths() -> Iterator[int]:
        while (head := file.read(27)).startswith(b"OggS"):
            yield sum(file.read(head[26])) if len(head) == 27 else 27 - len(head)

    return _last_end(file, 0, lengths())


def _end_of_ivf(file: BinaryIO, size: int) -> int:
    """Where the last frame of an IVF file ends: its length in 4 bytes, and its time in 8."""

    def lengths() -> Iterator[int]:
        while head := file.read(12):
            yield int.from_bytes(head[:4], "little") + 12 - len(head)

    return _last_end(file, 32, lengths())


def _end_of_gif(file: BinaryIO, size: int) -> int:
    """Where the last block of a GIF file ends (GIF89a, 15 to 27)."""

    def lengths() -> Iterator[int]:
        while kind := file.read(1):
            if kind == _GIF_PICTURE:
                yield 8
                yield _colours(file) + 1
            elif kind == _GIF_EXTENSION:
                yield 1
            else:  # the end
                return
            while (length := file.read(1)) > b"\0":
                yield length[0]
            if not length:
                yield 1

    file.seek(10)
    return _last_end(file, 13 + _colours(file), lengths())


def _colours(file: BinaryIO) -> int:
    """Bytes of the table of colours that a GIF's flags, the next byte, announce."""
    flags = file.read(1) or b"\0"
    return 3 << (flags[0] & 7) + 1 if flags[0] & 0x80 else 0


def _last_end(file: BinaryIO, at: int, lengths: Iterator[int]) -> int:
    """Skips one length after the other; where the file then is, maybe behind its end."""
    file.seek(at)
    for length in lengths:
        file.seek(length, os.SEEK_CUR)
    return file.tell()


_FORMATS: tuple[tuple[Callable[[bytes], bool], Callable[[BinaryIO, int], int]], ...] = (
    (lambda head: head[4:8] in _BOXES, _end_of_boxes),
    (lambda head: head.startswith(b"\x1a\x45\xdf\xa3"), _end_of_segment),
    (lambda head: head.startswith(b"RIFF"), _end_of_riff),
    (lambda head: head.startswith(b"GIF8"), _end_of_gif),
    (lambda head: _SYNC in (head[:1], head[4:5]), _end_of_packets),
    (lambda head: head.startswith(b"FLV"), _end_of_flv),
    (lambda head: head.startswith(_ASF_HEADER), _end_of_asf),
    (lambda head: head.startswith(b"OggS"), _end_of_ogg),
    (lambda head: head.startswith(b"DKIF"), _end_of_ivf),
)
