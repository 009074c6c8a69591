"""What ships with the package is worth showing."""

from __future__ import annotations

import numpy as np

from afformer import assets
from afformer.images import read_image
from afformer.runtime import Segmenter


def test_the_bundled_model_sees_the_blue_sky_road_and_cars_of_the_boulevard() -> None:
    image = read_image(next(path for path in assets.pictures() if "boulevard" in path.name))
    with Segmenter(assets.MODEL, threads=1) as segment:
        classes, found = segment.spec.classes, segment(image)

    def share(name: str, top: int, bottom: int, left: int, right: int) -> float:
        """Of a region, in pixels of the 1280x720 picture."""
        return float(np.mean(found[top:bottom, left:right] == classes.index(name)))

    assert share("Sky", 0, 250, 0, 700) > 0.99
    assert share("Road", 600, 700, 300, 1100) > 0.99
    assert share("Car", 480, 560, 130, 350) > 0.99
