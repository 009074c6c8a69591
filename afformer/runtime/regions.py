"""The classes of a class map as plain data: pixels, shares, and where they are, as run lengths or polygons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from afformer.images import ClassMap
from afformer.runtime.choices import Regions
from afformer.runtime.drawing.shares import class_shares
from afformer.runtime.outlines import outlines


def describe_classes(classmap: ClassMap, names: Sequence[str], regions: Regions = Regions.NONE) -> list[dict[str, Any]]:
    """The classes that occur, the largest first.

    Args:
        classmap: `(H, W)` class ids.
        names: Of all classes.
        regions: Whether and how to tell where each class is.

    Returns:
        Of each class `id`, `name`, `pixels`, `share` (0..1), and `rle` or `polygons` if asked for.
    """
    described = []
    for share in class_shares(classmap):
        entry: dict[str, Any] = {
            "id": share.class_id,
            "name": names[share.class_id],
            "pixels": share.pixels,
            "share": share.share,
        }
        if regions in _DESCRIPTIONS:
            entry[regions.value] = _DESCRIPTIONS[regions](classmap, share.class_id)
        described.append(entry)
    return described


def run_lengths(classmap: ClassMap, class_id: int) -> dict[str, Any]:
    """COCO's uncompressed run lengths: of pixels outside and inside by turns, column by column.

    Returns:
        `size` as [height, width], and `counts`, of which the first is outside.
    """
    inside = (classmap == class_id).ravel(order="F")
    changes = np.flatnonzero(np.diff(inside)) + 1
    edges = np.concatenate([[0], changes, [inside.size]])
    counts = np.diff(edges).tolist()
    return {"size": list(classmap.shape), "counts": [0, *counts] if inside[0] else counts}


def polygons(classmap: ClassMap, class_id: int) -> list[list[int]]:
    """COCO's polygons, `[x1, y1, x2, y2, ...]` of each region; see `outlines`."""
    return outlines(classmap == class_id)


_DESCRIPTIONS: dict[Regions, Callable[[ClassMap, int], Any]] = {Regions.POLYGONS: polygons, Regions.RLE: run_lengths}
