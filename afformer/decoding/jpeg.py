"""Whether a JPEG is whole. Decoders fill what is missing with grey, and only warn."""

from __future__ import annotations

import io
import re

from PIL.JpegImagePlugin import JpegImageFile

_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
"""Starts a segment with a length, or ends the file (0xd9). In compressed data 0xff is followed by 0 or a restart
number."""
_NUMBER_OF_IMAGES = 0xB001
_SCAN, _END = b"\xda", b"\xd9"
END = b"\xff\xd9"


def end_of(data: bytes | bytearray) -> int | None:
    """The offset behind the end marker of the JPEG at the start of the data; None if it is not there."""
    return find_end(data, 2)[0]


def find_end(data: bytes | bytearray, at: int) -> tuple[int | None, int]:
    """Looks for the end marker from a place between two segments on.

    Returns:
        The offset behind the end marker, if it is there, and where to go on when there are more data.
    """
    while marker := _MARKER.search(data, at):
        if marker[1] == _END:
            return marker.end(), marker.end()
        length = bytes(data[marker.end() : marker.end() + 2])
        if len(length) < 2:
            return None, marker.start()
        at = marker.end() + int.from_bytes(length, "big")
    return None, max(at, len(data) - 1)


def has_scan(data: bytes) -> bool:
    """Whether the headers are complete, so that picture data follow."""
    at = 2
    while marker := _MARKER.search(data, at):
        if marker[1] == _SCAN:
            return True
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return False


def versions(data: bytes) -> int:
    """How many pictures a JPEG's index announces, itself included (CIPA DC-007): previews, gain maps, depth."""
    try:
        index = JpegImageFile(io.BytesIO(data))._getmp()
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, IndexError):
        return 1
    return int(index.get(_NUMBER_OF_IMAGES, 1)) if index else 1
