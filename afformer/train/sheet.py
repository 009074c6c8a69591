"""A sheet of changed pictures with their labels, to look at before hours of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from afformer.datasets import IGNORE
from afformer.images import RGBImage
from afformer.spec import RGB

COLUMNS = 2
"""Pictures side by side, each with its label to the right."""
_GAP = 4
_NONE = (255, 255, 255)
"""Colour of pixels without a class."""


def sheet(images: Tensor, labels: Tensor, palette: Sequence[RGB]) -> RGBImage:
    """Draws a batch.

    Args:
        images: `(n, 3, h, w)` RGB, 0..255.
        labels: `(n, h, w)` class ids, `IGNORE` for none.
        palette: One RGB colour per class.

    Returns:
        `(H, W, 3)` uint8 RGB: every picture, and beside it the picture under its label's colours.
    """
    colours = np.full((IGNORE + 1, 3), _NONE, np.float32)
    colours[: len(palette)] = palette
    photos = images.permute(0, 2, 3, 1).cpu().numpy()  # (n, h, w, 3)
    painted = colours[labels.cpu().numpy()] * 0.6 + photos * 0.4
    cells = [_padded(cell) for pair in zip(photos, painted, strict=True) for cell in pair]
    width = 2 * COLUMNS
    cells += [np.zeros_like(cells[0])] * (-len(cells) % width)
    rows = [np.concatenate(cells[start : start + width], 1) for start in range(0, len(cells), width)]
    return np.ascontiguousarray(np.concatenate(rows).round().astype(np.uint8))


def _padded(cell: np.ndarray) -> np.ndarray:
    return np.pad(cell, ((0, _GAP), (0, _GAP), (0, 0)))
