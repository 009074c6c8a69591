"""Pictures put together."""

from __future__ import annotations

import numpy as np

from afformer.images import RGBImage

_PAPER = 255


def beside(left: RGBImage, right: RGBImage) -> RGBImage:
    """Two pictures side by side at the top, the shorter one on white."""
    height = max(left.shape[0], right.shape[0])
    return np.hstack([_padded(left, height), _padded(right, height)])


def side_by_side(before: RGBImage, after: RGBImage) -> RGBImage:
    """Two pictures of one size with a thin gap, beside each other; wide ones one above the other."""
    height, width = before.shape[:2]
    gap = max(2, min(height, width) // 100)
    if width > 2 * height:
        return np.vstack([before, np.full((gap, width, 3), _PAPER, np.uint8), after])
    return np.hstack([before, np.full((height, gap, 3), _PAPER, np.uint8), after])


def _padded(image: RGBImage, height: int) -> RGBImage:
    rest = np.full((height - image.shape[0], *image.shape[1:]), _PAPER, np.uint8)
    return np.vstack([image, rest]) if len(rest) else image
