"""Regions in JSON, drawn again."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np


def from_rle(rle: dict[str, Any]) -> Any:
    values = np.arange(len(rle["counts"])) % 2 == 1
    height, width = rle["size"]
    return np.repeat(values, rle["counts"]).reshape(width, height).T


def from_polygons(polygons: list[list[int]], shape: tuple[int, ...]) -> Any:
    """Every vertical side inverts what is on its right. Slanted sides come in pairs, and count for nothing."""
    mask = np.zeros(shape, bool)
    for polygon in polygons:
        corners = list(zip(polygon[::2], polygon[1::2], strict=True))
        slanted: collections.Counter[Any] = collections.Counter()
        for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
            if x0 == x1:
                mask[min(y0, y1) : max(y0, y1), x0:] ^= True
            elif y0 != y1:
                slanted[frozenset([(x0, y0), (x1, y1)])] += 1
        assert all(number % 2 == 0 for number in slanted.values())
    return mask
