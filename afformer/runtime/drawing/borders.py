"""Where classes meet."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from afformer.images import ClassMap
from afformer.runtime.workspace import Workspace

Mask = npt.NDArray[np.uint8]


def class_borders(classmap: ClassMap, work: Workspace | None = None) -> Mask:
    """`(H, W)` uint8: 255 where the pixel to the right or below has another class, else 0. It may live in `work`."""
    work = work or Workspace()
    borders, below = (work.array(name, classmap.shape, np.uint8) for name in ("borders", "below"))
    borders[:, -1:] = 0
    if classmap.shape[1] > 1:
        cv2.compare(classmap[:, :-1], classmap[:, 1:], cv2.CMP_NE, dst=borders[:, :-1])
    if classmap.shape[0] > 1:
        cv2.compare(classmap[:-1], classmap[1:], cv2.CMP_NE, dst=below[:-1])
        cv2.bitwise_or(borders[:-1], below[:-1], dst=borders[:-1])
    return borders


def outline_masks(borders: Mask, top: int, bottom: int, work: Workspace) -> tuple[Mask, Mask]:
    """The lines between classes, and the strips of the classes' full colours with them in the middle.

    Args:
        borders: `(H, W)` uint8: what `class_borders` gives.
        top: The first row of the result.
        bottom: The row behind its last one.
        work: Memory of the results.

    Returns:
        Lines and strips, `(bottom - top, W)` uint8, 255 or 0, as thick as suits the picture's height.
    """
    height = borders.shape[0]
    line, strip = max(1, round(height / 720)), max(1, round(height / 360))
    first = max(0, top - line - strip)  # borders further away do not reach these rows
    near = borders[first : bottom + line + strip]
    lines, strips = (work.array(name, near.shape, np.uint8) for name in ("lines", "strips"))
    cv2.dilate(near, np.ones((line, line), np.uint8), dst=lines)
    cv2.dilate(near, np.ones((line + 2 * strip, line + 2 * strip), np.uint8), dst=strips)
    return lines[top - first : bottom - first], strips[top - first : bottom - first]
