"""What training minimises."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody knows
from torch import Tensor, nn

from afformer.datasets import IGNORE

HEAVIEST = 3.0
"""Weight of a class at most, the mean being 1: a class of a few pixels would take over."""


def class_weights(pixels: npt.NDArray[np.int64]) -> Tensor:
    """`(classes,)` float32: 1 / sqrt(labelled pixels), mean 1 before the heaviest are cut; 0 for absent classes."""
    weights = np.where(pixels > 0, 1 / np.sqrt(np.maximum(pixels, 1)), 0)
    return torch.from_numpy(np.minimum(weights / weights[weights > 0].mean(), HEAVIEST)).float()


class SegmentationLoss(nn.Module):
    """Weighted cross entropy plus a share of soft Dice (V-Net, arXiv 1606.04797), of labelled pixels.

    Args:
        weights: `(classes,)`; see `class_weights`.
        dice: Weight of the Dice loss.
    """

    weights: Tensor

    def __init__(self, weights: Tensor, dice: float) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.dice = dice

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """`(n, classes, h, w)` logits of any precision and size, `(n, H, W)` int64 -> a scalar."""
        full = F.interpolate(logits.float(), labels.shape[1:], mode="bilinear", align_corners=False)
        loss = F.cross_entropy(full, labels, self.weights, ignore_index=IGNORE)
        return loss + self.dice * dice_loss(full, labels) if self.dice else loss


def dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """1 - (2 sum(p t) + 1) / (sum(p) + sum(t) + 1), with probability p and truth t, mean of the classes that occur.

    Args:
        logits: `(n, classes, h, w)` float32.
        labels: `(n, h, w)` int64; `IGNORE` counts for nothing.
    """
    n, classes = logits.shape[:2]
    truth = labels.clamp(max=classes)  # what is ignored is one class more
    probability = logits.softmax(1) * (truth < classes)[:, None]
    right = probability.gather(1, labels.clamp(max=classes - 1)[:, None])  # (n, 1, h, w); 0 where ignored
    empty = torch.zeros((n, classes + 1), device=logits.device)
    # sums by class of the truth; a one-hot truth would need as much memory as the logits
    overlap = empty.scatter_add(1, truth.flatten(1), right.flatten(1)).sum(0)[:classes]
    true = empty.scatter_add(1, truth.flatten(1), torch.ones_like(right).flatten(1)).sum(0)[:classes]
    loss = 1 - (2 * overlap + 1) / (probability.sum((0, 2, 3)) + true + 1)
    occurs = (true > 0).float()
    return (loss * occurs).sum() / occurs.sum().clamp(min=1)
