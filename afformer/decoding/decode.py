"""The bytes of a picture file -> pixels, by format."""

from __future__ import annotations

import logging

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ImageFile

from afformer import png
from afformer.decoding import jpeg, pillow, tiff
from afformer.decoding.depth import eight_bits, rgb_of_bgr
from afformer.decoding.pillow import FAILURES, open_picture, register_heif, upright_rgb
from afformer.decoding.signatures import ENOUGH, JPEG, PNG, TIFF
from afformer.decoding.size import check_size
from afformer.decoding.tiff_planes import planes
from afformer.decoding.unreadable import UnreadableError, reason
from afformer.errors import ImageError
from afformer.opencv import quiet_opencv

log = logging.getLogger(__name__)

_HUGE = 2**26
"""Pixels of a JPEG above which OpenCV decodes it, as Pillow takes twice the memory."""
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
        pixels = _tiff(data, tags, picture, title) if tags else _pixels(data, picture, title)
        # The other pictures in a JPEG are versions of it: previews, gain maps, depth.
        pages = 1 if data.startswith(JPEG) else getattr(picture, "n_frames", 1)
    except UnreadableError as error:
        raise ImageError(f"{title}: {error}") from error
    except FAILURES as error:
        raise ImageError(f"{title}: {reason(data)}") from error
    if pages > 1:
        log.warning("%s: holds %d pictures; the first is used", title, pages)
    return np.ascontiguousarray(pixels)


def _pixels(data: bytes, picture: ImageFile.ImageFile | None, title: str) -> npt.NDArray[np.uint8]:
    if data.startswith(JPEG):
        if picture is None:
            raise UnreadableError(reason(data))
        if not jpeg.end_of(data):
            return _without_end(data, title)
        if picture.width * picture.height > _HUGE:
            return np.asarray(numbers(data, cv2.IMREAD_COLOR_RGB, title), np.uint8)
        return upright_rgb(picture)
    if data.startswith(PNG):
        return eight_bits(numbers(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_ANYDEPTH, title), png.declared_max(data))
    if picture:
        return upright_rgb(picture)
    # Of some formats OpenCV's own conversion to colours leaves pixels as they were in memory.
    return rgb_of_bgr(eight_bits(numbers(data, cv2.IMREAD_UNCHANGED, title)))


def _tiff(data: bytes, tags: tiff.Tags, picture: ImageFile.ImageFile | None, title: str) -> npt.NDArray[np.uint8]:
    if tiff.is_deep(tags) or not picture:
        tiff.check_for_opencv(tags)
        channels = [numbers(plane, cv2.IMREAD_UNCHANGED, title) for plane in planes(data, tags)]
        channels = channels[2::-1] + channels[3:] if len(channels) > 2 else channels  # BGR, like all that OpenCV gives
        return tiff.deep_rgb(tags, channels[0] if len(channels) == 1 else np.dstack(channels))
    tiff.check_for_pillow(tags)
    return upright_rgb(picture)


def _check_size(picture: ImageFile.ImageFile | None, tags: tiff.Tags | None, title: str) -> None:
    if picture or tags:
        check_size(*(picture.size if picture else tiff.size_of(tags or {})), title)


def orientation(data: bytes) -> int:
    """How EXIF data turns a picture: 1, as it is stored, to 8. 1 for a file that Pillow does not know."""
    picture = open_picture(data)
    return pillow.orientation(picture) if picture else 1


def label_numbers(data: bytes, title: str) -> cv2.typing.MatLike:
    """What a label file stores, unchanged: `(H, W)` or `(H, W, channels)`.

    Raises:
        ImageError: It cannot be read, or is too large.
    """
    try:
        tags = tiff.read_tags(data) if data.startswith(TIFF) else None
        _check_size(open_picture(data), tags, title)
        if tags:
            tiff.check_for_opencv(tags)
    except UnreadableError as error:
        raise ImageError(f"{title}: {error}") from error
    except FAILURES as error:
        raise ImageError(f"{title}: {reason(data)}") from error
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
        raise ImageError(f"{title}: {reason(data)}") from error
    if pixels is None or pixels.size == 0:
        raise ImageError(f"{title}: {reason(data)}")
    return pixels


def _without_end(data: bytes, title: str) -> npt.NDArray[np.uint8]:
    """A JPEG without its end marker, which may be complete all the same.

    If picture data are missing, what is appended changes the picture; if not, it is not even looked at.
    """
    plain, tail = (open_picture(data + end + jpeg.END) for end in (b"", _TAIL))
    if not (
        plain and tail and jpeg.has_all_scans(data) and np.array_equal(pixels := upright_rgb(plain), upright_rgb(tail))
    ):
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
