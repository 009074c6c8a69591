"""Pictures inside a page: data URIs, and where two class maps differ."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from afformer.images import ClassMap, RGBImage
from afformer.runtime.render import Renderer
from afformer.spec import RGB

_WIDTH, _HEIGHT = 480, 640
"""Larger pictures are shrunk to this size in pixels, so that a page stays small."""
_QUALITY = 88
_MARK = (255, 0, 160)


@dataclasses.dataclass(frozen=True)
class Difference:
    """A picture with two class maps.

    Attributes:
        name: The picture's file name.
        agreement: Share of pixels with the same class, 0..1, of those that have one in both.
        images: (caption, data URI) of the picture, of either class map drawn over it, and of their difference.
    """

    name: str
    agreement: float
    images: tuple[tuple[str, str], ...]


class Illustrator:
    """Draws class maps for one page, all in the same colours.

    Args:
        classes: Class names.
        palette: The data set's colours, one RGB colour per class.
    """

    def __init__(self, classes: Sequence[str], palette: Sequence[RGB]) -> None:
        self._count = len(classes)
        self._renderer = Renderer(classes, palette, outlines=True, names=True)
        self._shown: set[int] = set()

    @property
    def legend(self) -> tuple[tuple[str, RGB], ...]:
        """(class name, RGB colour) of every class that was drawn so far, in the order of their ids."""
        return tuple((self._renderer.classes[index], self._renderer.colours[index]) for index in sorted(self._shown))

    def difference(self, name: str, image: RGBImage, maps: Mapping[str, ClassMap]) -> Difference:
        """A picture, two class maps drawn over it, and the pixels where they differ.

        Args:
            name: The picture's file name.
            image: `(H, W, 3)` uint8 RGB.
            maps: Caption -> `(H, W)` class map, of two. Ids that are no class are left unpainted, and not compared.
        """
        first, second = maps.values()
        known = (first < self._count) & (second < self._count)
        differs = (first != second) & known
        share = float(differs.sum() / max(1, known.sum()))
        small = _shrunk(image)
        overlays = [(caption, photo_uri(self._overlay(small, found))) for caption, found in maps.items()]
        marked = (f"{share:.2%} differ", data_uri(_marked(small, differs)))
        return Difference(name, 1 - share, (("picture", photo_uri(small)), *overlays, marked))

    def _overlay(self, image: RGBImage, classmap: ClassMap) -> RGBImage:
        small = _sampled(classmap, image.shape[:2])
        drawn = self._renderer.overlay(image, small)
        nothing = small >= self._count
        self._shown.update(np.unique(small[~nothing]).tolist())
        drawn[nothing] = image[nothing]
        return drawn


def _sampled(classmap: ClassMap, shape: tuple[int, ...]) -> ClassMap:
    """The nearest pixels of a class map, of any integer type, at another size."""
    rows, columns = (
        (np.arange(after) + 0.5) * before // after for before, after in zip(classmap.shape, shape, strict=True)
    )
    sampled = classmap[np.ix_(rows.astype(np.intp), columns.astype(np.intp))]
    return sampled.astype(np.uint8 if sampled.max() < 256 else np.int32)


def data_uri(image: RGBImage) -> str:
    """An `(H, W, 3)` uint8 RGB picture as a PNG inside a URI."""
    return _uri(image, "png", [cv2.IMWRITE_PNG_COMPRESSION, 9])


def photo_uri(image: RGBImage) -> str:
    """An `(H, W, 3)` uint8 RGB picture as a JPEG inside a URI: a tenth of the PNG, with colours in full resolution."""
    return _uri(
        image,
        "jpeg",
        [
            cv2.IMWRITE_JPEG_QUALITY,
            _QUALITY,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ],
    )


def _uri(image: RGBImage, kind: str, settings: Sequence[int]) -> str:
    done, data = cv2.imencode(f".{kind}", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)
    assert done, "both formats take any 8-bit picture of this size"
    return f"data:image/{kind};base64," + base64.b64encode(data.tobytes()).decode()


def _marked(image: RGBImage, differs: npt.NDArray[np.bool_]) -> RGBImage:
    """The picture in a few pale greys, which makes a small file, with the differing pixels on top."""
    height, width = image.shape[:2]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) // 16 * 8 + 120
    marked = np.repeat(np.asarray(grey, np.uint8)[:, :, None], 3, axis=2)
    share = cv2.resize(differs.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    marked[share > 0] = _MARK  # one differing pixel is enough: shrinking must not hide any
    return marked


def _shrunk(image: RGBImage) -> RGBImage:
    height, width = image.shape[:2]
    scale = min(_WIDTH / width, _HEIGHT / height)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
