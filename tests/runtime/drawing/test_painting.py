"""Painting a part at a time, which must not show."""

from __future__ import annotations

import numpy as np
import pytest

from afformer import datasets
from afformer.runtime.drawing import painting
from afformer.runtime.render import Renderer


@pytest.mark.parametrize("classes", [3, 200, 400])
@pytest.mark.parametrize("outlines", [False, True])
def test_an_overlay_is_the_same_however_many_rows_are_painted_at_a_time(
    monkeypatch: pytest.MonkeyPatch, classes: int, outlines: bool
) -> None:
    named, rng = datasets.generic(classes), np.random.default_rng(classes)
    image = rng.integers(0, 256, (90, 70, 3), np.uint8)
    blocks = rng.integers(0, classes, (9, 7)).repeat(10, axis=0).repeat(10, axis=1)
    dtype: type[np.integer] = np.uint8 if classes <= 256 else np.int32
    classmap = blocks.astype(dtype)
    overlays = []
    for pixels in (1 << 22, 70 * 90 // 2, 70 * 13, 1):
        monkeypatch.setattr(painting, "_BAND_PIXELS", pixels)
        renderer = Renderer(named.classes, named.palette, outlines=outlines, colours="dataset")
        overlays.append(renderer.overlay(image, classmap).copy())
    assert all((overlay == overlays[0]).all() for overlay in overlays[1:])
