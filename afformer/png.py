"""PNG files of numbers, with Pillow: OpenCV replaces palette indices by colours and stretches greys of few bits."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import ChunkStream, PngImageFile

from afformer.spec import RGB

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_BITS_AT = 24
"""Where the header stores the bits of a sample."""
_SCALE = {2: 85, 4: 17}
"""Pillow multiplies greys of 2 and 4 bits by this, so that they reach 255."""


def is_whole(data: bytes) -> bool:
    """Whether every chunk is there, up to the last one, and undamaged."""
    file = io.BytesIO(data)
    file.seek(len(SIGNATURE))
    chunks, kinds = ChunkStream(file), list[bytes]()
    try:
        while kinds[-1:] != [b"IEND"]:
            kind, _, length = chunks.read()
            chunks.crc(kind, file.read(length))
            kinds.append(kind)
    except (SyntaxError, struct.error):
        return False
    return kinds[0] == b"IHDR"


def declared_max(data: bytes) -> int | None:
    """The value of white, if the file says that its samples hold fewer bits than they have room for (sBIT)."""
    at = data.find(b"sBIT", len(SIGNATURE), data.find(b"IDAT"))
    if at < 0:
        return None
    length = int.from_bytes(data[at - 4 : at], "big")
    grey_or_colours = data[at + 4 : at + 4 + min(length, 3)]
    return (1 << max(grey_or_colours)) - 1 if length > 2 else (1 << data[at + 4]) - 1


def read_numbers(data: bytes) -> npt.NDArray[np.unsignedinteger] | None:
    """The stored numbers of a PNG: palette indices, or greys as they are. None if it stores colours.

    Returns:
        `(H, W)` uint8, or uint16 for greys of 16 bits.

    Raises:
        ValueError, OSError, SyntaxError: Pillow cannot read it.
    """
    image = PngImageFile(io.BytesIO(data))
    if image.mode not in ("1", "L", "P", "I", "I;16"):
        return None
    bits = data[_BITS_AT]
    if bits == 16:
        return np.asarray(image).astype(np.uint16)
    numbers: npt.NDArray[np.uint8] = np.asarray(image).astype(np.uint8)
    return numbers // _SCALE[bits] if image.mode == "L" and bits in _SCALE else numbers


def indexed(ids: npt.NDArray[np.uint8], palette: Sequence[RGB]) -> bytes:
    """A PNG of 8-bit indices.

    Args:
        ids: `(H, W)` indices.
        palette: Up to 256 colours; the rest is black.
    """
    image = Image.fromarray(ids)
    # Pillow writes indices in fewer bits than 8 if the palette is short.
    image.putpalette([value for colour in [*palette, *[(0, 0, 0)] * (256 - len(palette))] for value in colour])
    file = io.BytesIO()
    # Rows of a class map repeat numbers: run lengths are smaller than a search for strings, in a third of the time.
    image.save(file, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return file.getvalue()
