from __future__ import annotations

import torch

from afformer.datasets import IGNORE
from afformer.train.sheet import sheet


def test_beside_every_picture_its_label_lies_over_it() -> None:
    images = torch.zeros(3, 3, 10, 20)
    images[1] = 100
    labels = torch.zeros(3, 10, 20, dtype=torch.long)
    labels[1, :, 10:] = 1
    labels[2] = IGNORE
    drawn = sheet(images, labels, [(0, 0, 200), (250, 0, 0)])
    assert drawn.shape == (28, 96, 3)
    assert drawn[5, 5].tolist() == [0, 0, 0]
    assert drawn[5, 29].tolist() == [0, 0, 120]
    assert drawn[5, 53].tolist() == [100, 100, 100]
    assert drawn[5, 77].tolist() == [40, 40, 160]
    assert drawn[5, 87].tolist() == [190, 40, 40]
    assert drawn[19, 29].tolist() == [153, 153, 153]
