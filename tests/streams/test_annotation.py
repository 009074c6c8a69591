"""Panels in the corner of a picture."""

from __future__ import annotations

import numpy as np
import pytest

from afformer.streams.annotation import inset


@pytest.mark.parametrize("panel_hw", [(10, 10), (300, 20), (20, 900)])
def test_an_inset_never_covers_more_than_half_the_width(panel_hw: tuple[int, int]) -> None:
    picture = inset(np.zeros((100, 200, 3), np.uint8), np.full((*panel_hw, 3), 255, np.uint8))
    assert picture.shape == (100, 200, 3)
    assert (picture[:5, :5] == 255).any()
    assert (picture[:, 100:] == 0).all()
