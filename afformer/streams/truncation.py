"""Whether a video file is cut short, by the sizes that its container states, not by counting frames.

A container's number of frames says nothing about that: an edit list may show only some of them, and the sound may be
longer than the film.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"moof", b"pnot")
_TS_PACKET = 188


def missing_bytes(path: Path) -> int:
    """How many bytes are missing at the file's end, at least; 0 if none are, or if the format does not tell."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[4:8] in _BOXES:
            return max(0, _end_of_boxes(file, size) - size)
        if head.startswith(_EBML):
            return max(0, _end_of_segment(file) - size)
        if head[:4] == b"RIFF":
            return max(0, _end_of_riff(file, size) - size)
        if head[:1] == b"\x47" and _is_transport_stream(file):
            return -size % _TS_PACKET
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
        at += length
    return at


def _end_of_segment(file: BinaryIO) -> int:
    """Where the first segment of a Matroska or WebM file ends (RFC 8794); 0 if it does not say, as live ones do."""
    file.seek(0)
    for _ in range(4):  # the EBML header and what little may precede the segment
        name = _number(file, keep_length=True)
        length = _number(file)
        if name is None or length is None:
            return 0
        if name == int.from_bytes(_SEGMENT, "big"):
            return file.tell() + length
        file.seek(length, os.SEEK_CUR)
    return 0


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


def _is_transport_stream(file: BinaryIO) -> bool:
    file.seek(0)
    data = file.read(3 * _TS_PACKET + 1)
    return len(data) > _TS_PACKET and all(data[at] == 0x47 for at in range(0, len(data), _TS_PACKET))
