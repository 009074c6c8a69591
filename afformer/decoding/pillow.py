"""Pictures that Pillow opens: their size before they are decoded, and their pixels upright and in RGB."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from afformer.decoding.depth import eight_bits
from afformer.decoding.signatures import is_heif
from afformer.errors import AfformerError, ImageError
from afformer.extras import requires_extra

FAILURES = (
    *(OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, struct.error, MemoryError),
    *(RuntimeError, ArithmeticError, AttributeError),
    Image.DecompressionBombError,
)
"""What Pillow's decoders raise about damaged files."""

_BIG_ENDIAN_BIG_TIFF = b"MM\0+"
_STRIP = 64
"""Rows, few enough to stay in the processor's cache."""
_ORIENTATION = 0x0112
"""EXIF's tag of how a picture is turned."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DEEP = ("I", "F")
"""Pillow's modes of more than 8 bits, besides `I;16`; its own conversion of them cuts values off."""
_WHITE = {("PPM", "I"): 65535}
"""What Pillow scales white to, by format and mode, where it is not what the file holds."""


def open_picture(data: bytes) -> ImageFile.ImageFile | None:
    """Reads the header only; None if no decoder of Pillow knows the format.

    Asks the decoders themselves: `Image.open` has a limit of its own, which holds for the whole process.
    """
    if data.startswith(_BIG_ENDIAN_BIG_TIFF):  # Pillow takes it for a damaged TIFF, and warns
        return None
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


def orientation(picture: Image.Image) -> int:
    """How EXIF data turns a picture, 1 to 8; 1, as it is stored, if they are damaged."""
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except FAILURES:  # no other decoder turns it either
        return 1


def upright_rgb(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """Decodes the picture: upright, alpha dropped, and undone where colours were multiplied by it.

    Converts it in strips, as each conversion of the whole would need as much memory again.

    Raises:
        UnreadableError: Its values are not colours.
    """
    picture.load()  # a TIFF is upright then, and says so
    turn = _TURNS.get(orientation(picture))
    upright = picture.transpose(turn) if turn is not None else picture
    if upright.mode in _DEEP or upright.mode.startswith("I;16"):
        shown = eight_bits(np.asarray(upright), _WHITE.get((picture.format or "", upright.mode)))
        return np.repeat(shown[:, :, None], 3, axis=2)
    width, height = upright.size
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _STRIP):
        strip = upright.crop((0, top, width, min(top + _STRIP, height)))
        if strip.mode in ("RGBa", "La"):  # multiplied by alpha
            strip = strip.convert(strip.mode.upper())
        pixels[top : top + _STRIP] = np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))
    return pixels
