"""TIFF files that keep each channel by itself: one grey TIFF a channel, as OpenCV mixes deep ones up."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from afformer.decoding.tiff import Tags, is_deep

_BITS, _PHOTOMETRIC, _SAMPLES, _PLANAR, _FORMAT = 258, 262, 277, 284, 339
_PLACES = ((273, 279), (324, 325))
"""Offsets and sizes of strips, and of tiles."""
_KEPT = (256, 257, 259, 266, 274, 278, 317, 322, 323)
"""Size, compression, order of bits, orientation, rows of a strip, predictor, size of a tile."""
_SEPARATE, _BLACK_IS_ZERO = 2, 1
_SHORT, _LONG = 3, 4
_COLOURS_AND_ALPHA = 4


def planes(data: bytes, tags: Tags) -> list[bytes]:
    """The file itself, or, if it is deep and keeps its channels apart, one of each channel, four at most.

    Raises:
        KeyError, IndexError: Its tags are damaged.
    """
    samples = tags.get(_SAMPLES, 1)
    if not is_deep(tags) or tags.get(_PLANAR) != _SEPARATE or samples < 2:
        return [data]
    offsets_tag, sizes_tag = _PLACES[0] if _PLACES[0][0] in tags else _PLACES[1]
    parts = list(zip(tags[offsets_tag], tags[sizes_tag], strict=True))
    each = len(parts) // samples
    order = ">" if data.startswith(b"MM") else "<"
    return [
        _grey(order, tags, [data[at : at + size] for at, size in parts[each * i : each * (i + 1)]], offsets_tag)
        for i in range(min(samples, _COLOURS_AND_ALPHA))
    ]


def _grey(order: str, tags: Tags, parts: Sequence[bytes], offsets_tag: int) -> bytes:
    """A TIFF of one channel."""
    body, offsets = b"", []
    for part in parts:
        offsets.append(8 + len(body))
        body += part
    body += b"\0" * (len(body) % 2)
    fields: dict[int, Any] = {tag: [tags[tag]] for tag in _KEPT if tag in tags}
    fields |= {_BITS: tags[_BITS][:1], _PHOTOMETRIC: [_BLACK_IS_ZERO], _SAMPLES: [1]}
    fields |= {_FORMAT: tags.get(_FORMAT, (1,))[:1]}
    fields |= {offsets_tag: offsets, dict(_PLACES)[offsets_tag]: [len(part) for part in parts]}
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(f"{order}I", 8 + len(body)) + body + _directory(order, fields, 8 + len(body))


def _directory(order: str, fields: dict[int, Any], at: int) -> bytes:
    """The directory of these tags for a place in a file; values that do not fit into it follow."""
    entries, behind = b"", b""
    end = at + 2 + 12 * len(fields) + 4
    for tag, values in sorted(fields.items()):
        form, letter = (
            (_LONG, "I") if max(values) > 0xFFFF or any(tag in places for places in _PLACES) else (_SHORT, "H")
        )
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > 4:
            behind += b"\0" * (len(behind) % 2)
            packed, place = struct.pack(f"{order}I", end + len(behind)), packed
            behind += place
        entries += struct.pack(f"{order}HHI", tag, form, len(values)) + packed.ljust(4, b"\0")
    return struct.pack(f"{order}H", len(fields)) + entries + bytes(4) + behind
