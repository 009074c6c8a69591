"""From whatever stands for a picture to its pixels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Union

import cv2
import numpy as np
import PIL.Image

from afformer.decoding.pillow import FAILURES, upright_rgb
from afformer.decoding.unreadable import UnreadableError
from afformer.errors import ImageError
from afformer.images import RGBImage, read_image
from afformer.runtime.backends.base import Array
from afformer.runtime.preprocess import Image
from afformer.spec import ColorOrder

Picture = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, Array, PIL.Image.Image]
"""A path, the bytes of a picture file, an array, or a picture of Pillow.

Arrays are uint8: `(H, W)` or `(H, W, 1)` grey, `(H, W, 3)` colours, `(H, W, 4)` colours with an alpha channel, which is
dropped as in files.
"""

_FORMS = "a path, the bytes of a picture file, a uint8 array, or a picture of Pillow"
_SHAPES = "(H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"


def load_picture(picture: Picture, color_order: ColorOrder) -> tuple[Image, ColorOrder]:
    """The pixels of a picture.

    Args:
        picture: See `Picture`.
        color_order: Order of the channels in arrays. Files and pictures of Pillow know their own.

    Returns:
        `(H, W, 3)` uint8, and the order of its channels. An array of that form is not copied.

    Raises:
        ImageError: A file that cannot be read, or something else than a picture.
    """
    if isinstance(picture, np.ndarray):
        return _three_channels(picture), color_order
    if isinstance(picture, (str, os.PathLike)):
        return read_image(picture), ColorOrder.RGB
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return read_image(bytes(picture)), ColorOrder.RGB
    if isinstance(picture, PIL.Image.Image):
        return _of_pillow(picture), ColorOrder.RGB
    raise ImageError(f"a picture must be {_FORMS}, but got {type(picture).__name__}")


def check_several(pictures: Sequence[Picture]) -> None:
    """Refuses one picture where several are expected, whose rows or letters would be taken for pictures.

    Raises:
        ImageError: It is one picture.
    """
    is_one = isinstance(pictures, (str, bytes, bytearray, memoryview, os.PathLike, PIL.Image.Image))
    if is_one or (isinstance(pictures, np.ndarray) and pictures.dtype != object and pictures.ndim != 4):
        raise ImageError("expected several pictures, but got one; put it into a list")


def _three_channels(array: Array) -> Image:
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    if array.dtype != np.uint8 or channels not in (1, 3, 4) or array.size == 0:
        raise ImageError(
            f"a picture must be a uint8 array of shape {_SHAPES}, but got {array.dtype} of shape {array.shape}; "
            + _remedy(array)
        )
    if channels == 3:
        return array
    return np.asarray(cv2.cvtColor(array, cv2.COLOR_GRAY2RGB if channels == 1 else cv2.COLOR_RGBA2RGB), np.uint8)


def _remedy(array: Array) -> str:
    if array.ndim == 4:
        return "pass several pictures to `segment_batch`"
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[0] in (1, 3, 4):
        return "move the channels to the end (`array.transpose(1, 2, 0)`)"
    return "convert it, or pass its path"


def _of_pillow(picture: PIL.Image.Image) -> RGBImage:
    """The picture upright and without alpha, as `read_image` gives it."""
    if picture.width == 0 or picture.height == 0:
        raise ImageError(f"a picture of Pillow must have pixels, but got {picture.width}x{picture.height}")
    try:
        return upright_rgb(picture)
    except UnreadableError as error:
        raise ImageError(f"a picture of Pillow {error}") from error
    except FAILURES as error:
        raise ImageError(f"a picture of Pillow cannot be decoded ({error}); open its file again") from error
