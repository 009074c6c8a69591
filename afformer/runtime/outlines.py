"""Where a mask is, as polygons in COCO's form: exact, along the edges of pixels."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Corner = tuple[int, int]
Sides = dict[Corner, list[Corner]]
"""The ends of the sides that begin in a corner: one, or two where pixels touch there only."""


def outlines(mask: Mask) -> list[list[int]]:
    """Polygons that, filled, are the mask.

    Corners lie between pixels: the first pixel is the square from (0, 0) to (1, 1). COCO's polygons have no holes, so
    that of a region with holes goes on around each hole, there and back on one line, which encloses nothing.

    Args:
        mask: `(H, W)`.

    Returns:
        `[x1, y1, x2, y2, ...]` of each region of pixels that share sides.
    """
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    regions: dict[int, list[list[Corner]]] = {}
    for ring in _rings(mask):
        regions.setdefault(_label(ring, labels), []).append(ring)
    return [[number for corner in _joined(rings) for number in corner] for rings in regions.values()]


def _label(ring: list[Corner], labels: cv2.typing.MatLike) -> int:
    """Of the pixel at a ring's first side, which is horizontal."""
    (x, y), (end, _) = ring[:2]
    return int(labels[y, x] if end > x else labels[y - 1, x - 1])


def _joined(rings: list[list[Corner]]) -> Iterator[Corner]:
    """The outer ring, which reaches farthest to the left, and from its first corner around each hole and back."""
    outer, *holes = sorted(rings, key=min)
    yield from outer
    for hole in holes:
        yield from (outer[0], *hole, hole[0])


def _rings(mask: Mask) -> Iterator[list[Corner]]:
    """The mask's edge, with the mask on the right; each ring begins with a horizontal side.

    Where pixels touch in a corner only, the edge turns right and keeps them apart.
    """
    padded = np.pad(mask, 1).astype(np.int8)
    across, down = Sides(), Sides()
    for y, begin, end in _runs(np.diff(padded, axis=0)[:, 1:-1]):
        across.setdefault((begin, y), []).append((end, y))
    for x, begin, end in _runs(-np.diff(padded, axis=1)[1:-1].T):
        down.setdefault((x, begin), []).append((x, end))
    seen: set[tuple[Corner, Corner]] = set()
    for first, ends in across.items():
        for second in ends:
            if (first, second) not in seen:
                ring = _ring(first, second, across, down)
                seen.update(zip(ring[::2], ring[1::2], strict=True))
                yield ring


def _runs(changes: npt.NDArray[np.int8]) -> Iterator[tuple[int, int, int]]:
    """Line, start and end of each run of 1, and of -1 backwards, in `(lines, places)` of -1, 0 and 1."""
    between = np.pad(changes, ((0, 0), (1, 1)))
    bounds = between[:, 1:] != between[:, :-1]
    lines, starts = np.nonzero(bounds & (between[:, 1:] != 0))
    ends = np.nonzero(bounds & (between[:, :-1] != 0))[1]
    backwards = between[lines, starts + 1] < 0
    starts, ends = np.where(backwards, ends, starts), np.where(backwards, starts, ends)
    return zip(lines.tolist(), starts.tolist(), ends.tolist(), strict=True)


def _ring(first: Corner, second: Corner, across: Sides, down: Sides) -> list[Corner]:
    """From side to side until the first one comes again."""
    ring, before, here, sides = [first], first, second, down
    while True:
        ahead = _turn(before, here, sides[here])
        if sides is across and (here, ahead) == (first, second):
            return ring
        ring.append(here)
        before, here, sides = here, ahead, across if sides is down else down


def _turn(before: Corner, here: Corner, ends: list[Corner]) -> Corner:
    """Where the only side leads, or that to the right."""
    (x0, y0), (x, y) = before, here
    return max(ends, key=lambda end: (x - x0) * (end[1] - y) - (y - y0) * (end[0] - x))
