"""Encoded pictures from requests: what they are is read from their headers before a pixel is decoded."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator

from PIL import Image, UnidentifiedImageError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from afformer.decoding.pillow import open_picture
from afformer.errors import ImageError
from afformer.images import RGBImage, decode_image
from afformer.serve.options import Limits
from afformer.serve.refusal import Refusal

FORMATS = ("JPEG", "PNG", "WEBP")
_EXPECTED = "expected a JPEG, PNG or WebP file as the body, or as a file of a multipart/form-data upload"


async def picture_bytes(request: Request, body: bytes, limits: Limits) -> bytes:
    """The picture's file: the body itself, or the one file of a form.

    Raises:
        Refusal: 400, not a form with one file; 415, another kind of body.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _uploaded(request, body, limits)
    if kind in ("application/x-www-form-urlencoded", "application/json", "text/plain") and not _is_picture(body):
        raise Refusal(415, f"the body is {kind}; {_EXPECTED}")
    return body


def picture_size(data: bytes, limits: Limits) -> tuple[int, int]:
    """Height and width that the file's header says.

    Raises:
        Refusal: 415, no such file; 413, too many pixels.
    """
    try:
        width, height = _size_in_header(data, limits)
    except Refusal:
        raise
    except UnidentifiedImageError as error:
        raise Refusal(415, f"the body is not a picture that can be read; {_EXPECTED}") from error
    except Exception as error:  # whatever Pillow trips over in damaged headers
        raise Refusal(400, f"the picture's header is damaged; {_EXPECTED}") from error
    if width * height > limits.pixels:
        raise Refusal(
            413, f"the picture has {width}x{height} pixels, but at most {limits.pixels} are allowed; send a smaller one"
        )
    return height, width


def _size_in_header(data: bytes, limits: Limits) -> tuple[int, int]:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as header:
            return header.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        picture = open_picture(data)  # without Pillow's own limit, except for WebP
        if picture is None:
            most = min(limits.pixels, 2 * (Image.MAX_IMAGE_PIXELS or limits.pixels))
            raise Refusal(413, f"the picture has more than the {most} pixels that are allowed") from error
        return picture.size


def decode(data: bytes, size: tuple[int, int]) -> RGBImage:
    """The picture, `(H, W, 3)` uint8 RGB, as `afformer-cli infer` reads it.

    Args:
        data: The file.
        size: Its height and width, by `picture_size`; the other way round in a picture that its EXIF data turns.

    Raises:
        Refusal: 400, damaged.
    """
    try:
        image = decode_image(data, "picture")
    except ImageError as error:
        raise Refusal(400, str(error)) from error
    if sorted(image.shape[:2]) != sorted(size):
        raise Refusal(400, "picture: its header and its content differ in size")
    return image


def _is_picture(body: bytes) -> bool:
    return body.startswith((b"\xff\xd8\xff", b"\x89PNG", b"RIFF"))


class _InMemory(MultiPartParser):
    """Keeps files in memory, which the body's size bounds: there may be no disk to write to."""

    spool_max_size = 1 << 40


async def _uploaded(request: Request, body: bytes, limits: Limits) -> bytes:
    async def chunks() -> AsyncGenerator[bytes, None]:
        yield body

    parser = _InMemory(request.headers, chunks(), max_files=1, max_fields=16, max_part_size=limits.body)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        raise Refusal(400, f"the form cannot be read; {_EXPECTED}") from error
    files = [value for value in form.values() if isinstance(value, UploadFile)]
    if len(files) != 1:
        raise Refusal(400, f"the form has no file; {_EXPECTED}")
    try:
        return await files[0].read()
    finally:
        await form.close()
