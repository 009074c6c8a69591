"""TIFF files whose samples are not 8-bit colours, of which Pillow reads some kinds only: OpenCV reads their numbers."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import TiffImagePlugin

from afformer.decoding.depth import eight_bits

Tags = Mapping[int, Any]
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _MAX_SAMPLE, _EXTRA_SAMPLES, _FORMAT, _SMAX = (
    256,
    257,
    258,
    262,
    281,
    338,
    339,
    341,
)
_PREMULTIPLIED, _UNSIGNED, _UNDEFINED = 1, 1, 4
_HEADER, _BIG_HEADER, _BIG = 8, 16, 43


def read_tags(data: bytes) -> Tags:
    """The tags of a TIFF's first page.

    Raises:
        SyntaxError, OSError, ValueError, struct.error: They are damaged.
    """
    file = io.BytesIO(data)
    header = file.read(_HEADER)
    if _BIG in header[2:4]:
        header += file.read(_BIG_HEADER - _HEADER)
    tags = TiffImagePlugin.ImageFileDirectory_v2(header)
    file.seek(tags.next)
    tags.load(file)
    return tags


def size_of(tags: Tags) -> tuple[int, int]:
    """Width and height, as they are stored."""
    return int(tags.get(_WIDTH, 0)), int(tags.get(_HEIGHT, 0))


def is_deep(tags: Tags) -> bool:
    """Whether samples have more than 8 bits, a sign or a fraction."""
    return max(tags.get(_BITS, (1,))) > 8 or tags.get(_FORMAT, (_UNSIGNED,))[0] not in (_UNSIGNED, _UNDEFINED)


def deep_rgb(tags: Tags, pixels: cv2.typing.MatLike) -> npt.NDArray[np.uint8]:
    """The picture in 8 bits.

    Args:
        tags: Its tags.
        pixels: `(H, W)`, or `(H, W, 1..4)` in BGR(A), of any type: what `cv2.IMREAD_UNCHANGED` gives.

    Raises:
        DepthError: Its values are not colours.
    """
    samples = np.atleast_3d(pixels)
    colours, alpha = samples[:, :, : 3 if samples.shape[2] >= 3 else 1], samples[:, :, -1:]
    shown = eight_bits(colours, _declared_max(tags))
    if tags.get(_EXTRA_SAMPLES, (0,))[0] == _PREMULTIPLIED and samples.shape[2] in (2, 4):
        opacity = np.maximum(eight_bits(alpha, _declared_max(tags)), 1).astype(np.uint16)
        shown = np.minimum(shown * np.uint16(255) // opacity, 255).astype(np.uint8)
    return np.broadcast_to(shown[:, :, ::-1], (*shown.shape[:2], 3))


def _declared_max(tags: Tags) -> int | None:
    declared = tags.get(_MAX_SAMPLE) or tags.get(_SMAX)
    value = declared[0] if isinstance(declared, tuple) else declared
    return int(value) if isinstance(value, (int, float)) and value > 1 else None
