"""The bytes of a picture file -> pixels, by format."""

from __future__ import annotations

import logging

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ImageFile

from afformer import png
from afformer.decoding import jpeg, tiff
from afformer.decoding.depth import DepthError, eight_bits
from afformer.decoding.pillow import FAILURES, open_picture, register_heif, upright_rgb
from afformer.decoding.signatures import ENOUGH, JPEG, PNG, TIFF
from afformer.decoding.size import check_size
from afformer.errors import ImageError
from afformer.opencv import quiet_opencv

log = logging.getLogger(__name__)

_NOT_A_PICTURE = (
    "is not a picture that can be read, or is damaged; expected a JPEG, PNG, WebP, AVIF, BMP, GIF or TIFF file"
)
_ORIENTATION = 0x0112
"""EXIF's tag of how a picture is turned."""
_TAIL = b"\xaa" + b"".join(bytes(range(1, 200, 3)) + bytes((0xFF, 0xD0 + i)) for i in range(8)) * 4
"""What decoders take for picture data where some are missing, with every restart marker."""


def decode(data: bytes, title: str) -> npt.NDArray[np.uint8]:
    """The picture in 8 bits, upright, without alpha; see `afformer.images.read_image`.

    Args:
        data: The whole file.
        title: What messages call it.

    Returns:
        `(H, W, 3)` uint8, RGB, contiguous.

    Raises:
        ImageError: It is empty, truncated, damaged, too large, or not a picture.
    """
    _check_whole(data, title)
    register_heif(data[:ENOUGH], title)
    picture = open_picture(data)
    try:
        tags = tiff.read_tags(data) if data.startswith(TIFF) else None
        _check_size(picture, tags, title)
        if tags and tiff.is_deep(tags):
            pixels = tiff.deep_rgb(tags, numbers(data, cv2.IMREAD_UNCHANGED, title))
        elif data.startswith((JPEG, PNG)) or not picture:
            pixels = _with_opencv(data, title)
        else:
            pixels = upright_rgb(picture)
        pages = getattr(picture, "n_frames", 1) if picture and not data.startswith((JPEG, PNG)) else 1
    except DepthError as error:
        raise ImageError(f"{title}: {error}") from error
    except FAILURES as error:
        raise ImageError(f"{title}: {_NOT_A_PICTURE}") from error
    if pages > 1:
        log.warning("%s: holds %d pictures; the first is used", title, pages)
    return np.ascontiguousarray(pixels)


def _check_size(picture: ImageFile.ImageFile | None, tags: tiff.Tags | None, title: str) -> None:
    if picture or tags:
        check_size(*(picture.size if picture else tiff.size_of(tags or {})), title)


def orientation(data: bytes) -> int:
    """How EXIF data turns a picture: 1, as it is stored, to 8. 1 for a file that Pillow does not know."""
    try:
        picture = open_picture(data)
        return int(picture.getexif().get(_ORIENTATION, 1)) if picture else 1
    except FAILURES:  # no other decoder turns it either
        return 1


def label_numbers(data: bytes, title: str) -> cv2.typing.MatLike:
    """What a label file stores, unchanged: `(H, W)` or `(H, W, channels)`.

    Raises:
        ImageError: It cannot be read, or is too large.
    """
    try:
        _check_size(open_picture(data), tiff.read_tags(data) if data.startswith(TIFF) else None, title)
    except FAILURES as error:
        raise ImageError(f"{title}: {_NOT_A_PICTURE}") from error
    return numbers(data, cv2.IMREAD_UNCHANGED, title)


def numbers(data: bytes, flags: int, title: str) -> cv2.typing.MatLike:
    """What OpenCV decodes with these flags (`cv2.IMREAD_...`).

    Raises:
        ImageError: It cannot.
    """
    try:
        with quiet_opencv():
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError(f"{title}: {_NOT_A_PICTURE}") from error
    if pixels is None or pixels.size == 0:
        raise ImageError(f"{title}: {_NOT_A_PICTURE}")
    return pixels


def _with_opencv(data: bytes, title: str) -> npt.NDArray[np.uint8]:
    if data.startswith(JPEG) and jpeg.end_of(data) is None:
        return _without_end(data, title)
    pixels = numbers(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH, title)
    return eight_bits(pixels, png.declared_max(data) if data.startswith(PNG) else None)


def _without_end(data: bytes, title: str) -> npt.NDArray[np.uint8]:
    """A JPEG without its end marker, which may be complete all the same.

    If picture data are missing, what is appended changes the picture; if not, it is not even looked at. Pillow decodes
    it, as OpenCV writes to stderr about such files.
    """
    plain, tail = (open_picture(data + end + jpeg.END) for end in (b"", _TAIL))
    if not (plain and tail and np.array_equal(pixels := upright_rgb(plain), upright_rgb(tail))):
        raise ImageError(_truncated(data, title))
    log.warning("%s: lacks the marker that ends a JPEG, but the picture is complete", title)
    return pixels


def _check_whole(data: bytes, title: str) -> None:
    if not data:
        raise ImageError(f"{title}: is empty (0 bytes), not a picture; copy or download it again")
    if (data.startswith(PNG) and not png.is_whole(data)) or (data.startswith(JPEG) and not jpeg.has_scan(data)):
        raise ImageError(_truncated(data, title))


def _truncated(data: bytes, title: str) -> str:
    return f"{title}: is truncated or damaged after {len(data)} bytes; copy or download it again"
