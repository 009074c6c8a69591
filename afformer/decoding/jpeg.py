"""Whether a JPEG is whole. Decoders fill what is missing with grey, and only warn."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator

from PIL.JpegImagePlugin import JpegImageFile

_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
"""Starts a segment with a length, or ends the file (0xd9). In compressed data 0xff is followed by 0 or a restart
number."""
_NUMBER_OF_IMAGES = 0xB001
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF}
_SCAN, _END, _PROGRESSIVE, _JPEG_LS = b"\xda", b"\xd9", b"\xc2", b"\xf7"
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
    return any(marker == _SCAN for marker, _ in _segments(data))


def has_all_scans(data: bytes) -> bool:
    """Whether a progressive JPEG has all bits of all its coefficients (ITU-T T.81, G.1.1); True for other ones."""
    missing: dict[tuple[int, int], int] = {}
    for marker, content in _segments(data):
        if marker == _PROGRESSIVE:
            components = content[6 : 6 + 3 * content[5] : 3]
            missing = {(component, place): 1 for component in components for place in range(64)}
        elif marker == _SCAN and missing:
            count = content[0]
            first, last, bits = content[1 + 2 * count : 4 + 2 * count]
            scanned = itertools.product(content[1 : 1 + 2 * count : 2], range(first, last + 1))
            missing |= dict.fromkeys(scanned, bits & 15)
    return not any(missing.values())


def unusual_kind(data: bytes) -> str | None:
    """What a JPEG is that decoders of photos do not know (ITU-T T.81, table B.1); None for an ordinary one."""
    for marker, content in _segments(data):
        if marker == _JPEG_LS:
            return "a JPEG-LS picture"
        if marker[0] in _FRAMES:
            bits = content[0] if content else 8
            return "a lossless JPEG" if marker[0] in _LOSSLESS else f"a JPEG of {bits} bits a colour" * (bits != 8)
    return None


def _segments(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The marker of each segment, and what follows its length."""
    at = 2
    while marker := _MARKER.search(data, at):
        length = int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        yield marker[1], data[marker.end() + 2 : marker.end() + length]
        at = marker.end() + length


def versions(data: bytes) -> int:
    """How many pictures a JPEG's index announces, itself included (CIPA DC-007): previews, gain maps, depth."""
    try:
        index = JpegImageFile(io.BytesIO(data))._getmp()
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, IndexError):
        return 1
    return int(index.get(_NUMBER_OF_IMAGES, 1)) if index else 1
