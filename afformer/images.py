"""Picture and label files in, pictures and masks out.

Pictures are `(H, W, 3)` uint8 arrays in RGB order everywhere in this package.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from afformer import png
from afformer.errors import ImageError, OutputError
from afformer.files import replacing
from afformer.spec import RGB

RGBImage = npt.NDArray[np.uint8]
"""`(H, W, 3)` uint8, RGB, contiguous."""
ClassMap = npt.NDArray[np.integer]
"""`(H, W)` class ids: uint8, or int32 above 256 classes."""

_JPEG = b"\xff\xd8\xff"
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
"""Begins a segment with a length, or ends the file (0xd9). In compressed data, 0 or a restart number follows 0xff."""
_NOT_A_PICTURE = "is no picture that OpenCV can read, or a damaged one; expected a JPEG, PNG, WebP, BMP or TIFF file"


def read_image(path: Path) -> RGBImage:
    """Reads any picture as it is meant to be seen, in 8 bits.

    Greys are repeated over the channels, 16-bit values divided down to 8 bits, CMYK converted, and the rotation that a
    camera noted in the EXIF data applied. An alpha channel is dropped, not composited, as training tools do. Damage is
    found as far as the format can tell: a JPEG with some wrong bytes within its data is still a JPEG.

    Returns:
        `(H, W, 3)` uint8, RGB, contiguous.

    Raises:
        ImageError: The file is missing, empty, truncated, damaged or no picture.
    """
    return _rgb(_read(path), path)


def decode_image(data: bytes, name: str) -> RGBImage:
    """As `read_image`, from a file's bytes; `name` stands for the file in errors.

    Raises:
        ImageError: The data is empty, truncated, damaged or not a picture.
    """
    return _rgb(_checked(data, name), name)


def read_label(path: Path) -> npt.NDArray[np.unsignedinteger]:
    """Reads the class ids of a label file, exactly as they are stored.

    An indexed PNG gives its indices, a grey one of 1, 2 or 4 bits its unscaled numbers.

    Returns:
        `(H, W)` uint8 or uint16.

    Raises:
        ImageError: The file cannot be read, stores colours, or is a JPEG, which does not keep numbers exactly.
    """
    data = _read(path)
    if data.startswith(_JPEG):
        raise ImageError(f"{path}: is a JPEG, which changes class ids; expected a one-channel or indexed PNG")
    if data.startswith(png.SIGNATURE):
        indexed = data[25:26] == b"\x03" or (data[25:26] == b"\x00" and data[24] < 8)
        data = png.with_indices_as_colours(data)
        if indexed:
            return np.ascontiguousarray(_decode(data, cv2.IMREAD_COLOR, path)[:, :, 0], np.uint8)
    label = _decode(data, cv2.IMREAD_UNCHANGED, path)
    if label.ndim != 2:
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
        OutputError: The extension is of no format that can be written, or the file cannot be written.
    """
    _write(path, _encode(path, path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR)))


def encode_image(image: RGBImage, suffix: str) -> bytes:
    """A picture, `(H, W, 3)` uint8 RGB, as a file of the format that an extension such as `.png` stands for.

    Raises:
        OutputError: The extension stands for no format that can be written.
    """
    return _encode("picture", suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def write_mask(path: Path, classmap: ClassMap, palette: Sequence[RGB]) -> None:
    """Writes a class map such that its pixels are the class ids and viewers show the palette's colours.

    Up to 256 classes this is an indexed PNG, above that a 16-bit grey one without colours.

    Args:
        path: Where to; the folder must exist. The extension must be `.png`.
        classmap: `(H, W)` class ids. Ids above the palette (255 for no class) are drawn black.
        palette: One RGB colour a class.

    Raises:
        OutputError: The path does not end in `.png`, or the file cannot be written.
    """
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path}: masks keep class ids exactly only as PNG; name the file .png")
    _write(path, encode_mask(classmap, palette))


def encode_mask(classmap: ClassMap, palette: Sequence[RGB]) -> bytes:
    """What `write_mask` writes."""
    if len(palette) > 256:
        return _encode("mask", ".png", classmap.astype(np.uint16))
    colours = [*palette, *[(0, 0, 0)] * (256 - len(palette))][: max(len(palette), int(classmap.max()) + 1)]
    return png.with_palette(_encode("mask", ".png", classmap.astype(np.uint8)), colours)


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    return _checked(data, path)


def _checked(data: bytes, path: Path | str) -> bytes:
    if not data:
        raise ImageError(f"{path}: is empty (0 bytes), not a picture; copy or download it again")
    whole = png.is_whole(data) if data.startswith(png.SIGNATURE) else _jpeg_is_whole(data)
    if not whole:
        raise ImageError(f"{path}: is truncated or damaged after {len(data)} bytes; copy or download it again")
    return data


def _jpeg_is_whole(data: bytes) -> bool:
    """Whether a file, if it is a JPEG, goes on to its end. Decoders fill what is missing with grey and only mumble."""
    if not data.startswith(_JPEG):
        return True
    marker = _MARKER.search(data, 2)
    while marker and marker[1] != b"\xd9":
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        marker = _MARKER.search(data, at)
    return marker is not None


def _rgb(data: bytes, path: Path | str) -> RGBImage:
    pixels = _decode(data, cv2.IMREAD_COLOR, path)
    return np.ascontiguousarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def _decode(data: bytes, flags: int, path: Path | str) -> cv2.typing.MatLike:
    try:
        with quiet_opencv():
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError(f"{path}: {_NOT_A_PICTURE}") from error
    if pixels is None or pixels.size == 0:
        raise ImageError(f"{path}: {_NOT_A_PICTURE}")
    return pixels


def _encode(path: Path | str, suffix: str, pixels: cv2.typing.MatLike) -> bytes:
    try:
        with quiet_opencv():
            done, data = cv2.imencode(suffix, pixels)
    except cv2.error as error:
        raise OutputError(f"{path}: '{suffix}' is no format to write a picture in; use .png or .jpg") from error
    if not done:
        raise OutputError(f"{path}: a picture of {pixels.shape[1]}x{pixels.shape[0]} cannot be written as {suffix}")
    return data.tobytes()


def _write(path: Path, data: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(data)


_set_log_level: Callable[[int], int] = (
    cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel  # OpenCV 4 and 5
)
_quiet_lock = threading.Lock()
_quiet_users = 0
_loud_level = 0


@contextlib.contextmanager
def single_threaded_opencv() -> Iterator[None]:
    """Leaves all cores to the network.

    OpenCV's own threads gain nothing in the few milliseconds around the network, but take the cores from its engine,
    whose threads wait for each other: a video came out 5 to 10 % slower with them (2 cores). Process-wide.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@contextlib.contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keeps OpenCV from writing about damaged files to stderr; the error says it once. Safe to nest across threads."""
    global _quiet_users, _loud_level  # noqa: PLW0603 - OpenCV's log level is global, too
    with _quiet_lock:
        if _quiet_users == 0:
            _loud_level = _set_log_level(0)
        _quiet_users += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_users -= 1
            if _quiet_users == 0:
                _set_log_level(_loud_level)
