"""Whether a JPEG is whole. Decoders fill what is missing with grey, and only warn."""

from __future__ import annotations

import re

_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
"""Starts a segment with a length, or ends the file (0xd9). In compressed data 0xff is followed by 0 or a restart
number."""
_SCAN, _END = 0xDA, 0xD9
END = b"\xff\xd9"


def end_of(data: bytes | bytearray, start: int = 0) -> int | None:
    """The offset behind the end marker of the JPEG that starts at `start`; None if the data ends before."""
    marker = _MARKER.search(data, start + 2)
    while marker and marker[1][0] != _END:
        length = data[marker.end() : marker.end() + 2]
        marker = _MARKER.search(data, marker.end() + int.from_bytes(length, "big"))
    return marker.end() if marker else None


def has_scan(data: bytes) -> bool:
    """Whether the headers are complete, so that picture data follow."""
    marker = _MARKER.search(data, 2)
    while marker and marker[1][0] != _SCAN:
        length = data[marker.end() : marker.end() + 2]
        marker = _MARKER.search(data, marker.end() + int.from_bytes(length, "big"))
    return marker is not None
