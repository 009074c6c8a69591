"""What annotated videos and the window show of a frame: its overlay, with a legend in the corner."""

from __future__ import annotations

import cv2
import numpy as np

from afformer.images import ClassMap, RGBImage
from afformer.runtime.render import Renderer


def annotate(renderer: Renderer, image: RGBImage, classmap: ClassMap, *, legend: bool) -> RGBImage:
    """The overlay, with the legend in its top left corner if asked for. Valid until the renderer's next overlay."""
    drawn = renderer.overlay(image, classmap)
    return inset(drawn, renderer.legend(classmap, drawn.shape[0] // 2)) if legend else drawn


def inset(picture: RGBImage, panel: RGBImage) -> RGBImage:
    """Draws a panel into the picture's top left corner, shrunk where it would cover more than half the width."""
    height, width = picture.shape[:2]
    scale = min(1.0, width / 2 / panel.shape[1], height / panel.shape[0])
    if scale < 1:
        size = max(1, int(panel.shape[1] * scale)), max(1, int(panel.shape[0] * scale))
        panel = np.asarray(cv2.resize(panel, size, interpolation=cv2.INTER_AREA), np.uint8)
    picture[: panel.shape[0], : panel.shape[1]] = panel
    return picture
