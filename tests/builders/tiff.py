"""TIFF files with any tags, as scanners, cameras and scientific tools write them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_SHORT, _LONG = 3, 4
_FORMATS = {"u": 1, "i": 2, "f": 3}


def write_tiff(path: Path, *pages: npt.NDArray[Any], extra: int | None = None, **tags: int) -> Path:
    """An uncompressed TIFF.

    Args:
        path: Where to.
        pages: `(H, W)` or `(H, W, C)` of any type.
        extra: What the last channel is: 1 for alpha that colours are multiplied by, 2 for one that they are not.
        tags: `orientation`, `max_sample`, `photometric`, `compression` (said, not done), `subfile`, `sub_directories`,
            `planar`: 2 keeps each channel by itself.
    """
    numbers = {"orientation": 274, "max_sample": 281, "photometric": 262, "compression": 259, "planar": 284}
    numbers |= {"subfile": 254, "sub_directories": 330}
    data, next_at = bytearray(b"II*\0\0\0\0\0"), 4
    for page in pages:
        samples = page if page.ndim == 3 else page[:, :, None]
        height, width, channels = samples.shape
        bits = samples.dtype.itemsize * 8
        parts = [np.ascontiguousarray(part) for part in np.moveaxis(samples, 2, 0)]
        parts = parts if tags.get("planar") == 2 else [samples]
        fields: dict[int, list[int]] = {
            256: [width],
            257: [height],
            258: [bits] * channels,
            259: [1],
            262: [2 if channels >= 3 else 1],
            273: [len(data) + i * parts[0].nbytes for i in range(len(parts))],
            277: [channels],
            278: [height],
            279: [part.nbytes for part in parts],
            339: [_FORMATS[samples.dtype.kind]] * channels,
        }
        fields |= {numbers[name]: [value] for name, value in tags.items()}
        if extra is not None:
            fields[338] = [extra]
        data += b"".join(part.tobytes() for part in parts)
        data += b"\0" * (len(data) % 2)
        next_at = _append_directory(data, fields, next_at)
    path.write_bytes(data)
    return path


def _append_directory(data: bytearray, fields: dict[int, list[int]], next_at: int) -> int:
    """Appends a page's tags, enters it into the chain, and returns where the next page's offset belongs."""
    entries = b""
    for tag, values in sorted(fields.items()):
        form, letter = (_LONG, "I") if tag in (273, 279) else (_SHORT, "H")
        packed = struct.pack(f"<{len(values)}{letter}", *values)
        if len(packed) > 4:
            at = len(data)
            data += packed
            packed = struct.pack("<I", at)
        entries += struct.pack("<HHI", tag, form, len(values)) + packed.ljust(4, b"\0")
    struct.pack_into("<I", data, next_at, len(data))
    data += struct.pack("<H", len(fields)) + entries + b"\0\0\0\0"
    return len(data) - 4


def ramp(dtype: Any, white: float, channels: int = 3) -> npt.NDArray[Any]:
    """A picture of 20x32 that grows from black to white from left to right, one channel half as bright."""
    line = np.linspace(0, white, 32)
    picture = np.broadcast_to(line[None, :, None], (20, 32, channels)).copy()
    if channels >= 3:
        picture[..., 1] /= 2
    return picture.astype(dtype)
