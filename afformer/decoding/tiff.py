"""TIFF files whose samples are not 8-bit colours: Pillow knows their tags, OpenCV reads their numbers."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from PIL import TiffImagePlugin

from afformer.decoding.depth import eight_bits

_BITS, _PHOTOMETRIC, _ORIENTATION, _MAX_SAMPLE, _EXTRA_SAMPLES, _FORMAT, _SMAX = 258, 262, 274, 281, 338, 339, 341
_WHITE_IS_ZERO, _PREMULTIPLIED, _UNSIGNED = 0, 1, 1


def is_deep(tiff: TiffImagePlugin.TiffImageFile) -> bool:
    """Whether its samples have more than 8 bits, a sign or a fraction."""
    tags = tiff.tag_v2
    return max(tags.get(_BITS, (1,))) > 8 or tags.get(_FORMAT, (_UNSIGNED,))[0] not in (_UNSIGNED, 4)


def deep_rgb(tiff: TiffImagePlugin.TiffImageFile, pixels: cv2.typing.MatLike) -> npt.NDArray[np.uint8]:
    """The picture in 8 bits, upright.

    Args:
        tiff: Its tags.
        pixels: `(H, W)`, or `(H, W, 1..4)` in BGR(A), as stored.

    Raises:
        DepthError: Its values are not colours.
    """
    tags = tiff.tag_v2
    samples = np.atleast_3d(pixels)
    colours, alpha = samples[:, :, : 3 if samples.shape[2] >= 3 else 1], samples[:, :, -1:]
    shown = eight_bits(colours, _declared_max(tags))
    if tags.get(_EXTRA_SAMPLES, (0,))[0] == _PREMULTIPLIED and samples.shape[2] in (2, 4):
        opacity = np.maximum(eight_bits(alpha, _declared_max(tags)), 1).astype(np.uint16)
        shown = np.minimum(shown * np.uint16(255) // opacity, 255).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        shown = 255 - shown
    rgb = np.broadcast_to(shown[:, :, ::-1], (*shown.shape[:2], 3))
    return upright(rgb, tags.get(_ORIENTATION, 1))


def _declared_max(tags: TiffImagePlugin.ImageFileDirectory_v2) -> int | None:
    declared = tags.get(_MAX_SAMPLE) or tags.get(_SMAX)
    value = declared[0] if isinstance(declared, tuple) else declared
    return int(value) if isinstance(value, (int, float)) and value > 1 else None


def upright(image: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Turns a picture as the number of EXIF and TIFF says (1 to 8; 1 is upright)."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image
