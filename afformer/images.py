"""Picture and label files in, pictures and masks out.

Pictures are `(H, W, 3)` uint8 arrays in RGB order everywhere in this package.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from afformer import decoding, png
from afformer.errors import ImageError, OutputError
from afformer.files import AnyPath, write_file
from afformer.opencv import quiet_opencv
from afformer.spec import RGB

RGBImage = npt.NDArray[np.uint8]
"""`(H, W, 3)` uint8, RGB, contiguous."""
ClassMap = npt.NDArray[np.integer]
"""`(H, W)` class ids: uint8, or int32 above 256 classes."""


def read_image(picture: AnyPath | bytes) -> RGBImage:
    """Reads any picture, by its path or from the bytes of its file, as it is meant to be seen, in 8 bits.

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
    if isinstance(picture, bytes):
        return decode_image(picture, f"a picture of {len(picture)} bytes")
    return decode_image(_read(picture), os.fspath(picture))


def decode_image(data: bytes, name: str) -> RGBImage:
    """A picture from the bytes of its file, as `read_image` reads it.

    Args:
        data: The whole file.
        name: What messages call it.

    Raises:
        ImageError: It is empty, truncated, damaged, too large or not a picture.
    """
    return decoding.decode(data, name)


@dataclasses.dataclass(frozen=True)
class LabelPixels:
    """What a label file stores.

    Attributes:
        ids: `(H, W)` uint8 or uint16: palette indices or greys, unscaled; None if the file stores colours only.
        colours: `(H, W, 3)` uint8 RGB of a file with three channels or more of 8 bits, even if they are equal.
        palette: `(n, 3)` uint8 RGB of an indexed PNG.
    """

    ids: npt.NDArray[np.unsignedinteger] | None
    colours: RGBImage | None = None
    palette: npt.NDArray[np.uint8] | None = None


def read_label(path: AnyPath) -> npt.NDArray[np.unsignedinteger]:
    """Reads the class ids of a label file, exactly as they are stored.

    Of an indexed PNG these are its indices, of a grey one of 1, 2 or 4 bits its unscaled numbers. Three equal channels
    count as one, and an alpha channel is left out.

    Returns:
        `(H, W)` uint8 or uint16.

    Raises:
        ImageError: The file cannot be read, stores colours, or is a JPEG, which does not keep numbers exactly.
    """
    ids = read_label_pixels(path).ids
    if ids is None:
        raise ImageError(f"{path}: stores colours, not class ids; expected a one-channel or indexed PNG")
    return ids


def read_label_pixels(path: AnyPath) -> LabelPixels:
    """Reads what a label file stores, ids or colours.

    Raises:
        ImageError: The file cannot be read, or is a JPEG, which keeps neither exactly.
    """
    path = Path(path)
    data = _read(path)
    if data.startswith(decoding.JPEG):
        raise ImageError(f"{path}: is a JPEG, which changes class ids; expected a one-channel or indexed PNG")
    if data.startswith(png.SIGNATURE) and not png.is_whole(data):
        raise ImageError(f"{path}: is truncated or damaged after {len(data)} bytes; copy or download it again")
    pixels = decoding.label_numbers(data, str(path))
    numbers = _png_numbers(data, path) if data.startswith(png.SIGNATURE) else None
    if numbers is not None:
        return LabelPixels(np.ascontiguousarray(numbers), palette=png.palette(data))
    return _label_pixels(_whole(np.asarray(pixels), path))


def _whole(pixels: npt.NDArray[Any], path: Path) -> npt.NDArray[np.unsignedinteger]:
    """Ids that were stored in wider numbers than they need."""
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels
    lowest, highest = float(pixels.min()), float(pixels.max())
    if not (lowest >= 0 and highest <= np.iinfo(np.uint16).max) or (pixels != np.floor(pixels)).any():
        raise ImageError(
            f"{path}: stores {pixels.dtype} values from {lowest:g} to {highest:g}; expected class ids, which are whole "
            "numbers from 0 to 65535"
        )
    return pixels.astype(np.uint16)


def _label_pixels(pixels: npt.NDArray[Any]) -> LabelPixels:
    """Of OpenCV's `(H, W)` or `(H, W, channels)` pixels in BGR order; grey with alpha comes as four channels."""
    if pixels.ndim == 2:
        return LabelPixels(np.ascontiguousarray(pixels))
    blue, red = pixels[:, :, 0], pixels[:, :, min(2, pixels.shape[2] - 1)]
    grey = pixels.shape[2] == 2 or ((blue == red) & (blue == pixels[:, :, 1])).all()
    colours = pixels[:, :, 2::-1] if pixels.dtype == np.uint8 and pixels.shape[2] > 2 else None
    return LabelPixels(
        np.ascontiguousarray(blue) if grey else None,
        None if colours is None else np.ascontiguousarray(colours, np.uint8),
    )


def exif_orientation(path: AnyPath) -> int:
    """How EXIF data turns a picture: 1, as it is stored, to 8. 1 for a file that Pillow does not know.

    Raises:
        ImageError: It cannot be read.
    """
    return decoding.orientation(_read(path))


def is_tiff(path: AnyPath) -> bool:
    """Whether a file is a TIFF, by its first bytes.

    Raises:
        ImageError: It cannot be read.
    """
    return _read(path).startswith(decoding.TIFF)


def write_image(path: AnyPath, image: RGBImage) -> None:
    """Writes a picture in the format of the path's extension.

    Args:
        path: Where to; the folder must exist.
        image: `(H, W, 3)` uint8, RGB.

    Raises:
        OutputError: The extension stands for no format that can be written, or the file cannot be written.
    """
    path = Path(path)
    write_file(path, _encode(path, path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR)))


def encode_image(image: RGBImage, suffix: str, name: Path | str = "picture") -> bytes:
    """A picture as a file of the format that an extension such as `.png` stands for; `name` is used in errors.

    Raises:
        OutputError: The extension stands for no format that can be written.
    """
    return bytes(_encode(name, suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR)))


def write_mask(path: AnyPath, classmap: ClassMap, palette: Sequence[RGB]) -> None:
    """Writes a class map as a PNG whose pixels are class ids and which viewers show in the palette's colours.

    Up to 256 classes this is an indexed PNG, above that a 16-bit grey one without colours.

    Args:
        path: Where to; the folder must exist. The extension must be `.png`.
        classmap: `(H, W)` class ids. Ids beyond the palette (255 for no class) are black.
        palette: One RGB colour per class.

    Raises:
        OutputError: The path does not end in `.png`, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: masks keep class ids exactly only as PNG; name the file .png")
    write_file(path, encode_mask(classmap, palette))


def encode_mask(classmap: ClassMap, palette: Sequence[RGB]) -> bytes:
    """The file that `write_mask` writes."""
    if len(palette) > 256:
        return bytes(_encode("mask", ".png", classmap.astype(np.uint16)))
    return png.indexed(classmap.astype(np.uint8), palette)


def _read(path: AnyPath) -> bytes:
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # a ValueError comes from a NUL character
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


def _encode(path: Path | str, suffix: str, pixels: cv2.typing.MatLike) -> memoryview:
    try:
        with quiet_opencv():
            done, data = cv2.imencode(suffix, pixels)
    except cv2.error as error:
        raise OutputError(
            f"{path}: '{suffix}' is not a format that pictures can be written in; use .png or .jpg"
        ) from error
    if not done:
        raise OutputError(f"{path}: a picture of {pixels.shape[1]}x{pixels.shape[0]} cannot be written as {suffix}")
    return memoryview(np.asarray(data, np.uint8).data)
