"""What annotated videos and the window show of a frame: its overlay, with a legend in the corner."""

from __future__ import annotations

import cv2
import numpy as np

from afformer.images import ClassMap, RGBImage
from afformer.runtime.render import Renderer


def annotate(renderer: Renderer, image: RGBImage, classmap: ClassMap, *, legend: bool, follow: bool = True) -> RGBImage:
    """The overlay, with a small legend in its top left corner if asked for.

    Args:
        renderer: Keeps the result until its next overlay.
        image: `(H, W, 3)` uint8 RGB.
        classmap: `(H, W)` class ids.
        legend: Whether to draw the legend.
        follow: Whether this frame follows the one before, so that names keep their place.
    """
    drawn = renderer.overlay(image, classmap, follow=follow)
    return inset(drawn, renderer.small_legend(classmap, drawn.shape[0])) if legend else drawn


def inset(picture: RGBImage, panel: RGBImage) -> RGBImage:
    """Draws a panel into the picture's top left corner, shrunk where it would cover more than half the width."""
    height, width = picture.shape[:2]
    scale = min(1.0, width / 2 / panel.shape[1], height / panel.shape[0])
    if scale < 1:
        size = max(1, int(panel.shape[1] * scale)), max(1, int(panel.shape[0] * scale))
        panel = np.asarray(cv2.resize(panel, size, interpolation=cv2.INTER_AREA), np.uint8)
    picture[: panel.shape[0], : panel.shape[1]] = panel
    return picture
