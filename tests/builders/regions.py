"""Regions in JSON, drawn again."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt


def from_rle(rle: dict[str, Any]) -> Any:
    values = np.arange(len(rle["counts"])) % 2 == 1
    height, width = rle["size"]
    return np.repeat(values, rle["counts"]).reshape(width, height).T


def from_polygons(regions: list[dict[str, Any]], shape: tuple[int, ...]) -> Any:
    """Regions are filled, then the inside of their holes is emptied; the holes' corners belong to the class."""
    mask = np.zeros(shape, bool)
    for region in regions:
        own = filled(region["outer"], shape)
        for hole in region["holes"]:
            edge = cv2.polylines(np.zeros(shape, np.uint8), [np.array(hole, np.int32)], True, 1).astype(bool)
            own &= ~filled(hole, shape) | edge
        mask |= own
    return mask


def filled(ring: list[list[int]], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    return cv2.fillPoly(np.zeros(shape, np.uint8), [np.array(ring, np.int32)], 1).astype(bool)
