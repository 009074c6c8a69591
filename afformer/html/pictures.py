"""Pictures inside a page: data URIs, and where two class maps differ."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from afformer.images import ClassMap, RGBImage
from afformer.spec import RGB

_WIDTH = 480
_MARK = (255, 0, 160)


@dataclasses.dataclass(frozen=True)
class Difference:
    """A picture with two class maps.

    Attributes:
        name: The picture's file name.
        agreement: Share of pixels with the same class, 0..1.
        images: (caption, data URI) of either class map and of their difference.
    """

    name: str
    agreement: float
    images: tuple[tuple[str, str], ...]


def difference(name: str, image: RGBImage, maps: Mapping[str, ClassMap], palette: Sequence[RGB]) -> Difference:
    """A picture with two class maps drawn over it, and the pixels where they differ.

    Args:
        name: The picture's file name.
        image: `(H, W, 3)` uint8 RGB.
        maps: Caption -> `(H, W)` class map, of two.
        palette: One RGB colour a class.
    """
    first, second = maps.values()
    differs = first != second
    overlays = [(caption, data_uri(_shrunk(_overlay(image, found, palette)))) for caption, found in maps.items()]
    marked = (f"{differs.mean():.2%} differ", data_uri(_marked(image, differs)))
    return Difference(name, 1 - float(differs.mean()), (*overlays, marked))


def data_uri(image: RGBImage) -> str:
    """An `(H, W, 3)` uint8 RGB picture as a PNG inside a URI."""
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert done, "PNG takes any 8-bit picture"
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()


def _overlay(image: RGBImage, classmap: ClassMap, palette: Sequence[RGB]) -> RGBImage:
    colours = np.asarray(palette, np.uint8)[classmap]
    return np.asarray(cv2.addWeighted(image, 0.45, colours, 0.55, 0), np.uint8)


def _marked(image: RGBImage, differs: npt.NDArray[np.bool_]) -> RGBImage:
    """The picture in a few pale greys, which makes a small file, with the differing pixels on top."""
    small = _shrunk(image)
    height, width = small.shape[:2]
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY) // 16 * 8 + 120
    marked = np.repeat(np.asarray(grey, np.uint8)[:, :, None], 3, axis=2)
    share = cv2.resize(differs.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    marked[share > 0] = _MARK  # one differing pixel is enough: shrinking must not hide any
    return marked


def _shrunk(image: RGBImage) -> RGBImage:
    height, width = image.shape[:2]
    if width <= _WIDTH:
        return image
    size = (_WIDTH, max(1, round(height * _WIDTH / width)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
