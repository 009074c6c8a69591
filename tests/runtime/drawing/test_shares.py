"""How much of a picture each class takes."""

from __future__ import annotations

import numpy as np

from afformer.runtime.drawing.shares import Share, class_shares


def test_shares_are_sorted_and_add_up() -> None:
    shares = class_shares(np.array([[2, 2, 2, 0], [5, 5, 0, 2]], np.uint8))
    assert shares == [Share(2, 4, 0.5), Share(0, 2, 0.25), Share(5, 2, 0.25)]
