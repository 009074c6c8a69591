from __future__ import annotations

import torch

from afformer.datasets import IGNORE
from afformer.train.sheet import sheet


def test_beside_every_picture_its_label_is_drawn_over_it() -> None:
    images = torch.full((3, 3, 80, 160), 100.0)
    labels = torch.zeros(3, 80, 160, dtype=torch.long)
    labels[1, :, 80:] = 1
    labels[2] = IGNORE
    drawn = sheet(images, labels, ["sea", "fire"], [(0, 0, 200), (250, 0, 0)])
    assert drawn.shape == (2 * 84, 4 * 164, 3)
    photo, sea, fire, unlabelled = drawn[5, 5], drawn[5, 169], drawn[5, 640], drawn[89:160, 169:320]
    assert photo.tolist() == [100, 100, 100]
    assert sea.argmax() == 2
    assert fire.argmax() == 0
    assert (unlabelled == 100).all()


def test_the_label_names_the_classes() -> None:
    labels = torch.zeros(1, 80, 160, dtype=torch.long)
    drawn = sheet(torch.full((1, 3, 80, 160), 100.0), labels, ["sea"], [(0, 0, 200)])
    assert (drawn[:80, 164:324] == 255).all(axis=-1).any()
