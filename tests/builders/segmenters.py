"""Segmenters that are known to be right or wrong, and their classes."""

from __future__ import annotations

import numpy as np

from afformer import datasets
from afformer.images import ClassMap, RGBImage

THREE = datasets.custom(("road", "car", "sky"), ((128, 64, 128), (0, 0, 142), (70, 130, 180)))


def by_red(image: RGBImage) -> ClassMap:
    """A segmenter for pictures whose red channel is the class id times 50."""
    return (image[:, :, 0] // 50).astype(np.uint8)


def always_road(image: RGBImage) -> ClassMap:
    return np.zeros(image.shape[:2], np.uint8)
