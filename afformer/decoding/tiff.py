"""TIFF files whose samples are not 8-bit colours, of which Pillow reads some kinds only: OpenCV reads their numbers."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import TiffImagePlugin

from afformer.decoding.depth import eight_bits, rgb_of_bgr
from afformer.decoding.unreadable import UnreadableError

Tags = Mapping[int, Any]
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_MAX_SAMPLE, _EXTRA_SAMPLES, _FORMAT, _SMAX = 281, 338, 339, 341
_SUBFILE, _SUB_DIRECTORIES, _RAW_VERSION = 254, 330, 50706
_PREMULTIPLIED, _UNSIGNED, _FLOAT, _UNDEFINED = 1, 1, 3, 4
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_HEADER, _BIG_HEADER, _BIG = 8, 16, 43

_OPENCV_READS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}
"""Compressions. Of some others OpenCV makes a black picture without a word."""
_PILLOW_READS = _OPENCV_READS | {6, 34925, 50000}
_COMPRESSIONS = {
    **{22610: "JPEG XR", 34934: "JPEG XR", 34712: "JPEG 2000", 34887: "LERC", 34925: "LZMA", 34933: "PNG"},
    **{50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL"},
}
_PHOTOMETRICS = {3: "palette", 5: "CMYK", 6: "YCbCr", 8: "Lab", 32803: "sensor", 34892: "sensor"}


def read_tags(data: bytes) -> Tags:
    """The tags of a TIFF's first page.

    Raises:
        SyntaxError, OSError, ValueError, struct.error: They are damaged.
    """
    file = io.BytesIO(data)
    header = file.read(_HEADER)
    prefix = header[:2]
    if _BIG in header[2:4]:
        # Pillow knows the little-endian form of this header only.
        header = b"II+\0" + header[4:] + file.read(_BIG_HEADER - _HEADER)
    tags = TiffImagePlugin.ImageFileDirectory_v2(header, prefix)
    file.seek(tags.next)
    tags.load(file)
    return tags


def check_for_pillow(tags: Tags) -> None:
    """Refuses what Pillow cannot read as it is meant.

    Raises:
        UnreadableError: It is compressed in another way, or is the preview in a camera's raw file.
    """
    _check_compression(tags, _PILLOW_READS)
    _check_whole_size(tags)


def check_for_opencv(tags: Tags) -> None:
    """Refuses what OpenCV cannot read, or reads wrongly.

    Raises:
        UnreadableError: It is compressed in another way, holds deep samples that are neither grey nor RGB, half floats
            or complex numbers, or is the preview in a camera's raw file.
    """
    _check_compression(tags, _OPENCV_READS)
    _check_whole_size(tags)
    bits, form = max(tags.get(_BITS, (1,))), tags.get(_FORMAT, (_UNSIGNED,))[0]
    if form > _UNDEFINED or (form == _FLOAT and bits < 32):
        kind = "complex numbers" if form > _UNDEFINED else f"{bits}-bit floats"
        raise UnreadableError(f"stores {kind}, which cannot be read; save it with 32-bit floats or 16-bit integers")
    photometric = tags.get(_PHOTOMETRIC, _BLACK_IS_ZERO)
    if is_deep(tags) and photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        kind = _PHOTOMETRICS.get(photometric, f"other (photometric {photometric})")
        raise UnreadableError(f"stores {bits}-bit {kind} values, which cannot be read; save it in RGB")


def _check_compression(tags: Tags, known: set[int]) -> None:
    number = tags.get(_COMPRESSION, 1)
    if number not in known:
        name = _COMPRESSIONS.get(number, f"method {number}")
        raise UnreadableError(f"is a TIFF compressed with {name}, which cannot be read; save it with LZW or Deflate")


def _check_whole_size(tags: Tags) -> None:
    is_preview = tags.get(_SUBFILE, 0) & 1 and _SUB_DIRECTORIES in tags
    if is_preview or _RAW_VERSION in tags:
        raise UnreadableError("is a camera's raw file, which cannot be read; develop it to JPEG, PNG or TIFF")


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
        UnreadableError: Its values are not colours.
    """
    samples = np.atleast_3d(pixels)
    colours, alpha = samples[:, :, : 3 if samples.shape[2] >= 3 else 1], samples[:, :, -1:]
    shown = eight_bits(colours, _declared_max(tags))
    if is_deep(tags) and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        shown = 255 - shown
    if tags.get(_EXTRA_SAMPLES, (0,))[0] == _PREMULTIPLIED and samples.shape[2] in (2, 4):
        opacity = np.maximum(eight_bits(alpha, _declared_max(tags)), 1).astype(np.uint16)
        shown = np.minimum(shown * np.uint16(255) // opacity, 255).astype(np.uint8)
    return rgb_of_bgr(shown)


def _declared_max(tags: Tags) -> int | None:
    declared = tags.get(_MAX_SAMPLE) or tags.get(_SMAX)
    value = declared[0] if isinstance(declared, tuple) else declared
    return int(value) if isinstance(value, (int, float)) and value > 1 else None
