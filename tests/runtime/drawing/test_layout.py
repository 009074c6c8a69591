"""Pictures put together."""

from __future__ import annotations

import numpy as np

from afformer.runtime.drawing.layout import beside, side_by_side


def test_wide_pictures_go_below_each_other_and_others_beside() -> None:
    wide, tall = np.zeros((100, 300, 3), np.uint8), np.zeros((300, 100, 3), np.uint8)
    assert side_by_side(wide, wide).shape == (202, 300, 3)
    assert side_by_side(tall, tall).shape == (300, 202, 3)


def test_pictures_of_two_heights_stand_beside_each_other_on_white() -> None:
    both = beside(np.zeros((2, 3, 3), np.uint8), np.zeros((4, 1, 3), np.uint8))
    assert both.shape == (4, 4, 3)
    assert (both[2:, :3] == 255).all()
    assert not both[:2].any()
