"""The few things about PNG files that OpenCV does not do: indices instead of colours, palettes, damage.

A PNG file is a signature and a list of chunks: length (4 bytes), kind (4), data, CRC-32 of kind and data (4).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence

from afformer.spec import RGB

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_GREY, _INDEXED = 0, 3
_IHDR = ">IIBBBBB"
"""Width, height, bits a sample, colour type, compression, filter, interlacing."""


def is_whole(data: bytes) -> bool:
    """Whether every chunk is there, up to the last one, and undamaged."""
    try:
        (first, header), *_ = _chunks(data)
    except (ValueError, struct.error):
        return False
    return first == b"IHDR" and len(header) == struct.calcsize(_IHDR)


def with_indices_as_colours(data: bytes) -> bytes:
    """The same PNG, changed such that a decoder to 8 bits gives the stored numbers themselves.

    Decoders replace indices by their colours and stretch greys of 1, 2 or 4 bits to 0..255. With a palette in which
    index i has the colour (i, i, i) the stored numbers survive. Everything about colour management goes. Files that
    store 8 or 16 bit greys, or colours, keep their meaning.
    """
    chunks = [(kind, body) for kind, body in _chunks(data) if kind in (b"IHDR", b"IDAT", b"IEND")]
    *head, bits, colour_type, compression, filtering, interlacing = struct.unpack(_IHDR, chunks[0][1])
    if colour_type == _INDEXED or (colour_type == _GREY and bits < 8):
        chunks[0] = (b"IHDR", struct.pack(_IHDR, *head, bits, _INDEXED, compression, filtering, interlacing))
        chunks.insert(1, (b"PLTE", bytes(value for value in range(1 << bits) for _ in range(3))))
    return _file(chunks)


def with_palette(data: bytes, palette: Sequence[RGB]) -> bytes:
    """An 8-bit grey PNG as an indexed one: grey g becomes index g, with `palette[g]` as its colour.

    Args:
        data: The grey PNG.
        palette: 1 to 256 colours.
    """
    (_, header), *rest = _chunks(data)
    *head, bits, colour_type, compression, filtering, interlacing = struct.unpack(_IHDR, header)
    assert (bits, colour_type) == (8, _GREY), "only 8-bit greys can be read as indices"
    indexed = struct.pack(_IHDR, *head, bits, _INDEXED, compression, filtering, interlacing)
    colours = bytes(value for colour in palette for value in colour)
    pixels = [(kind, body) for kind, body in rest if kind in (b"IDAT", b"IEND")]
    return _file([(b"IHDR", indexed), (b"PLTE", colours), *pixels])


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, data) of each chunk up to IEND.

    Raises:
        ValueError, struct.error: The file ends early, or a checksum is wrong.
    """
    at, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(body, zlib.crc32(kind)) != checksum:
            raise ValueError(f"wrong checksum of a {kind!r} chunk")
        yield kind, body
        at += 12 + length


def _file(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    parts = [SIGNATURE]
    for kind, body in chunks:
        parts += [struct.pack(">I4s", len(body), kind), body, struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))]
    return b"".join(parts)
