"""A sheet of changed pictures with their labels, to look at before hours of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from afformer.images import ClassMap, RGBImage
from afformer.runtime.render import Renderer
from afformer.spec import RGB

COLUMNS = 2
"""Pictures side by side, each with its label to the right."""
_GAP = 4


def sheet(images: Tensor, labels: Tensor, classes: Sequence[str], palette: Sequence[RGB]) -> RGBImage:
    """Draws a batch.

    Args:
        images: `(n, 3, h, w)` RGB, 0..255.
        labels: `(n, h, w)` class ids, `IGNORE` for none.
        classes: Class names.
        palette: One RGB colour per class.

    Returns:
        `(H, W, 3)` uint8 RGB: every picture, and beside it the picture with its label drawn over it, as overlays are.
    """
    renderer = Renderer(classes, palette, outlines=True, names=True)
    photos = images.permute(0, 2, 3, 1).round().clamp(0, 255).byte().cpu().numpy()  # (n, h, w, 3)
    maps = labels.byte().cpu().numpy()
    pairs = ((photo, _painted(renderer, photo, label)) for photo, label in zip(photos, maps, strict=True))
    cells = [_padded(cell) for pair in pairs for cell in pair]
    width = 2 * COLUMNS
    cells += [np.zeros_like(cells[0])] * (-len(cells) % width)
    rows = [np.concatenate(cells[start : start + width], 1) for start in range(0, len(cells), width)]
    return np.ascontiguousarray(np.concatenate(rows))


def _painted(renderer: Renderer, photo: RGBImage, label: ClassMap) -> RGBImage:
    """The picture under its label; pixels without a class stay as they are."""
    drawn = renderer.overlay(np.ascontiguousarray(photo), label)
    return np.where((label < len(renderer.classes))[..., None], drawn, photo)


def _padded(cell: RGBImage) -> RGBImage:
    return np.pad(cell, ((0, _GAP), (0, _GAP), (0, 0)))
