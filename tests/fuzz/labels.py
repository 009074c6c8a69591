"""Label files: PNGs of numbers, whose sums are mended after a change so that it reaches the decoder."""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from afformer import png
from afformer.images import read_label
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import Target

_CHUNK = 12
"""Bytes of a chunk besides its content: length, kind, sum."""


_REPACKED = 0.7
"""Share of changes to compressed data that are made before it is compressed."""


def _run(path: Path) -> None:
    label = read_label(path)
    assert label.ndim == len("HW")
    assert label.dtype in (np.uint8, np.uint16)


def _seeds() -> list[bytes]:
    ids = np.random.default_rng(1).integers(0, 3, (9, 14), np.uint8)
    seeds = [png.indexed(ids, ((1, 2, 3), (4, 5, 6), (7, 8, 9)))]
    greys = (Image.fromarray(ids), Image.fromarray(ids.astype(np.uint16) * 300), Image.fromarray(ids > 1))
    for image in (*greys, Image.fromarray(ids).convert("P")):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        seeds.append(buffer.getvalue())
    deep = _chunks(seeds[0])
    deep[0] = (b"IHDR", deep[0][1][:8] + b"\x10" + deep[0][1][9:])  # indices of 16 bits, which no PNG may have
    return [*seeds, _joined(deep)]


def _inside(data: bytes, chance: random.Random) -> bytes:
    if not data.startswith(png.SIGNATURE):
        return mutated(data, chance)
    chunks = _chunks(data)
    if not chunks:
        return mutated(data, chance)
    at = chance.randrange(len(chunks))
    kind, content = chunks[at]
    change = _repacked if kind == b"IDAT" and chance.random() < _REPACKED else mutated
    chunks[at] = (kind, change(content, chance))
    return _joined(chunks)


def _repacked(content: bytes, chance: random.Random) -> bytes:
    try:
        return zlib.compress(mutated(zlib.decompress(content), chance))
    except zlib.error:
        return mutated(content, chance)


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], len(png.SIGNATURE)
    while at + _CHUNK <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += length + _CHUNK
    return found


def _joined(chunks: list[tuple[bytes, bytes]]) -> bytes:
    parts = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks]
    return png.SIGNATURE + b"".join(parts)


TARGET = Target(_run, _seeds, _inside, ("afformer.images", "afformer.png"), ".png")
