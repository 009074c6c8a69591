"""Pictures that Pillow opens: their size before they are decoded, and their pixels upright and in RGB."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps

from afformer.decoding.signatures import is_heif
from afformer.errors import AfformerError, ImageError
from afformer.extras import requires_extra

FAILURES = (
    *(OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, struct.error, MemoryError),
    Image.DecompressionBombError,
)
"""What Pillow's decoders raise about damaged files."""

_STRIP = 256
"""Rows."""


def open_picture(data: bytes) -> ImageFile.ImageFile | None:
    """Reads the header only; None if no decoder of Pillow knows the format.

    Asks the decoders themselves: `Image.open` has a limit of its own, which holds for the whole process.
    """
    for opener in _openers(data[:16]):
        try:
            return opener(io.BytesIO(data), "")  # type: ignore[operator, no-any-return]
        except FAILURES:
            continue  # another decoder may know better; if none does, the caller reports it
    return None


def _openers(head: bytes) -> Iterator[object]:
    Image.init()
    for opener, accepts in Image.OPEN.values():
        try:
            accepted = accepts is None or accepts(head)
        except FAILURES:  # a file that is shorter than the header that is looked for
            continue
        if accepted and not isinstance(accepted, str):  # a text says which library is missing
            yield opener


def register_heif(head: bytes, title: str) -> None:
    """Teaches Pillow to read HEIC, if this is a HEIC file.

    Raises:
        ImageError: The package for it is not installed.
    """
    if not is_heif(head) or "HEIF" in Image.OPEN:
        return
    try:
        with requires_extra("heif"):
            import pillow_heif
    except AfformerError as error:
        raise ImageError(f"{title}: is a HEIC picture; {error}") from error
    pillow_heif.register_heif_opener()


def upright_rgb(picture: ImageFile.ImageFile) -> npt.NDArray[np.uint8]:
    """Decodes the picture: upright, alpha dropped, and undone where colours were multiplied by it.

    Converts it in strips, as each conversion of the whole would need as much memory again.
    """
    ImageOps.exif_transpose(picture, in_place=True)
    width, height = picture.size
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _STRIP):
        strip = picture.crop((0, top, width, min(top + _STRIP, height)))
        if strip.mode in ("RGBa", "La"):  # multiplied by alpha
            strip = strip.convert(strip.mode.upper())
        pixels[top : top + _STRIP] = np.asarray(strip.convert("RGB"))
    return pixels
