"""Picture and label files in, pictures and masks out.

Pictures are `(H, W, 3)` uint8 arrays in RGB order everywhere in this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from afformer import decoding, png
from afformer.errors import ImageError, OutputError
from afformer.files import write_file
from afformer.opencv import quiet_opencv
from afformer.spec import RGB

RGBImage = npt.NDArray[np.uint8]
"""`(H, W, 3)` uint8, RGB, contiguous."""
ClassMap = npt.NDArray[np.integer]
"""`(H, W)` class ids: uint8, or int32 above 256 classes."""


def read_image(path: Path) -> RGBImage:
    """Reads any picture as it is meant to be seen, in 8 bits.

    Greys are repeated in all channels, deeper values scaled to 8 bits (`afformer.decoding.depth` has the rule), CMYK is
    converted, and the rotation that a file asks for is applied. An alpha channel is dropped, not composited, as
    training tools do. Of several pages the first is read, with a warning. Damage is found as far as the format allows:
    a JPEG with some wrong bytes within its data is still a JPEG, and one that only lacks its end marker is read with a
    warning.

    Returns:
        `(H, W, 3)` uint8, RGB, contiguous.

    Raises:
        ImageError: The file is missing, empty, truncated, damaged, not a picture, or has more pixels than the
            environment variable `AFFORMER_MAX_PIXELS` allows (2^28 by default).
    """
    return decode_image(_read(path), str(path))


def decode_image(data: bytes, name: str) -> RGBImage:
    """A picture from the bytes of its file, as `read_image` reads it.

    Args:
        data: The whole file.
        name: What messages call it.

    Raises:
        ImageError: It is empty, truncated, damaged, too large or not a picture.
    """
    return decoding.decode(data, name)


def read_label(path: Path) -> npt.NDArray[np.unsignedinteger]:
    """Reads the class ids of a label file, exactly as they are stored.

    Of an indexed PNG these are its indices, of a grey one of 1, 2 or 4 bits its unscaled numbers.

    Returns:
        `(H, W)` uint8 or uint16.

    Raises:
        ImageError: The file cannot be read, stores colours, or is a JPEG, which does not keep numbers exactly.
    """
    data = _read(path)
    if data.startswith(decoding.JPEG):
        raise ImageError(f"{path}: is a JPEG, which changes class ids; expected a one-channel or indexed PNG")
    if data.startswith(png.SIGNATURE) and not png.is_whole(data):
        raise ImageError(f"{path}: is truncated or damaged after {len(data)} bytes; copy or download it again")
    pixels = decoding.numbers(data, cv2.IMREAD_UNCHANGED, str(path))
    label = _png_numbers(data, path) if data.startswith(png.SIGNATURE) else pixels
    if label is None or label.ndim != 2:
        raise ImageError(f"{path}: stores colours, not class ids; expected a one-channel or indexed PNG")
    if label.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"{path}: stores {label.dtype} values; expected class ids of 8 or 16 bits")
    return np.ascontiguousarray(label)


def write_image(path: Path, image: RGBImage) -> None:
    """Writes a picture in the format of the path's extension.

    Args:
        path: Where to; the folder must exist.
        image: `(H, W, 3)` uint8, RGB.

    Raises:
        OutputError: The extension stands for no format that can be written, or the file cannot be written.
    """
    write_file(path, encode_image(image, path.suffix, path))


def encode_image(image: RGBImage, suffix: str, name: Path | str = "picture") -> bytes:
    """A picture as a file of the format that an extension such as `.png` stands for; `name` is used in errors.

    Raises:
        OutputError: The extension stands for no format that can be written.
    """
    return _encode(name, suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def write_mask(path: Path, classmap: ClassMap, palette: Sequence[RGB]) -> None:
    """Writes a class map as a PNG whose pixels are class ids and which viewers show in the palette's colours.

    Up to 256 classes this is an indexed PNG, above that a 16-bit grey one without colours.

    Args:
        path: Where to; the folder must exist. The extension must be `.png`.
        classmap: `(H, W)` class ids. Ids beyond the palette (255 for no class) are black.
        palette: One RGB colour a class.

    Raises:
        OutputError: The path does not end in `.png`, or the file cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: masks keep class ids exactly only as PNG; name the file .png")
    write_file(path, encode_mask(classmap, palette))


def encode_mask(classmap: ClassMap, palette: Sequence[RGB]) -> bytes:
    """The file that `write_mask` writes."""
    if len(palette) > 256:
        return _encode("mask", ".png", classmap.astype(np.uint16))
    return png.indexed(classmap.astype(np.uint8), palette)


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # the latter of a NUL character
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{path}: cannot be read ({reason}); check the path") from error
    if not data:
        raise ImageError(f"{path}: is empty (0 bytes), not a picture; copy or download it again")
    return data


def _png_numbers(data: bytes, path: Path) -> npt.NDArray[np.unsignedinteger] | None:
    try:
        return png.read_numbers(data)
    except (ValueError, OSError, SyntaxError) as error:
        raise ImageError(f"{path}: is not a PNG that can be read, or is damaged; copy it again") from error


def _encode(path: Path | str, suffix: str, pixels: cv2.typing.MatLike) -> bytes:
    try:
        with quiet_opencv():
            done, data = cv2.imencode(suffix, pixels)
    except cv2.error as error:
        raise OutputError(
            f"{path}: '{suffix}' is not a format that pictures can be written in; use .png or .jpg"
        ) from error
    if not done:
        raise OutputError(f"{path}: a picture of {pixels.shape[1]}x{pixels.shape[0]} cannot be written as {suffix}")
    return data.tobytes()
