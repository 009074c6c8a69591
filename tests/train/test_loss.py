from __future__ import annotations

import numpy as np
import pytest
import torch

from afformer.datasets import IGNORE
from afformer.train.loss import SegmentationLoss, class_weights, dice_loss


def logits_and_labels() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (2, 6, 8), generator=generator)
    labels[0, :2] = IGNORE
    return torch.randn(2, 4, 6, 8, generator=generator), labels


def test_dice_is_its_formula_over_the_classes_that_occur() -> None:
    """Written out with a one-hot truth; class 3 occurs nowhere."""
    logits, labels = logits_and_labels()
    known = labels != IGNORE
    expected = []
    for index in range(3):
        p, t = logits.softmax(1)[:, index][known].double(), (labels == index)[known].double()
        expected.append(1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1))
    assert float(dice_loss(logits, labels)) == pytest.approx(float(sum(expected)) / 3, abs=1e-6)


def test_ignored_pixels_have_no_gradient() -> None:
    logits, labels = logits_and_labels()
    logits.requires_grad_()
    SegmentationLoss(torch.ones(4), 0.5)(logits, labels).backward()
    assert logits.grad is not None
    assert (logits.grad[0, :, :2] == 0).all()
    assert (logits.grad[1] != 0).all()


def test_right_and_sure_costs_next_to_nothing() -> None:
    _, labels = logits_and_labels()
    sure = torch.nn.functional.one_hot(labels.clamp(max=3), 4).permute(0, 3, 1, 2) * 40.0
    loss = SegmentationLoss(torch.ones(4), 0.5)
    assert float(loss(sure, labels)) < 1e-4
    assert float(loss(-sure, labels)) > 1


def test_logits_at_a_stride_are_brought_to_the_labels_size() -> None:
    loss = SegmentationLoss(torch.ones(2), 0.0)
    labels = torch.zeros(1, 16, 16, dtype=torch.long)
    labels[..., 8:] = 1
    right = torch.tensor([[[5.0, -5.0]], [[-5.0, 5.0]]])[None].expand(1, 2, 1, 2)
    assert float(loss(right, labels)) < float(loss(right.flip(3), labels)) - 1


def test_rare_classes_weigh_more_up_to_three_and_absent_ones_nothing() -> None:
    weights = class_weights(np.array([1_000_000, 10_000, 1, 0]))
    assert weights[3] == 0
    assert weights[1] / weights[0] == pytest.approx(10)
    assert weights[2] == pytest.approx(2.96, abs=0.05)
    assert class_weights(np.array([10**6] * 20 + [1])).max() == 3
