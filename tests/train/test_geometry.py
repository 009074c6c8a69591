"""Pictures whose colours say what their labels must be, through the same crop."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from afformer.datasets import IGNORE
from afformer.spec import IMAGENET_MEAN
from afformer.train.geometry import crop_batch
from afformer.train.options import Changes
from afformer.train.pictures import Batch

STILL = Changes(scale=(1, 1), stretch=0, turn=0, flip=False)
CLASSES = 5
STEP = 50
"""Grey levels between two classes."""


def blobs(n: int, height: int, width: int, *, canvas: tuple[int, int] | None = None) -> Batch:
    """Smooth random regions; the picture's grey is its class times `STEP`. The canvas is larger than the picture."""
    noise = np.random.default_rng(0).random((n, 3, 4), np.float32)
    label = np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in noise])
    ids = np.clip(label * CLASSES, 0, CLASSES - 1).astype(np.uint8)
    rows, columns = canvas or (height, width)
    padded = np.full((n, rows, columns), IGNORE, np.uint8)
    padded[:, :height, :width] = ids
    grey = torch.from_numpy(np.where(padded == IGNORE, 0, padded * STEP).astype(np.uint8))
    sizes = torch.tensor([[height, width]] * n, dtype=torch.float32)
    return Batch(grey[:, None].expand(-1, 3, -1, -1).contiguous(), torch.from_numpy(padded), sizes)


@pytest.mark.parametrize("canvas", [None, (90, 130)])
def test_labels_go_where_their_pictures_go(canvas: tuple[int, int] | None) -> None:
    torch.manual_seed(0)
    images, labels = crop_batch(blobs(16, 72, 96, canvas=canvas), (64, 80), Changes())

    def agreement(ids: Tensor) -> float:
        """Neighbouring regions are one class apart, so the nearest grey is the class at their edges, too."""
        counted = (labels != IGNORE) & (ids != IGNORE)
        return float(((images[:, 0] / STEP).round() == ids)[counted].float().mean())

    assert agreement(labels) > 0.99
    for one_pixel_aside in (labels.roll(1, 1), labels.roll(1, 2)):
        assert agreement(one_pixel_aside) < 0.95


def test_what_lies_outside_of_the_picture_is_the_mean_colour_and_ignored() -> None:
    torch.manual_seed(0)
    images, labels = crop_batch(blobs(4, 32, 32, canvas=(64, 64)), (64, 64), STILL)
    ignored = labels == IGNORE
    assert ignored.float().mean() == pytest.approx(0.75)
    outside = images.permute(0, 2, 3, 1)[ignored]
    torch.testing.assert_close(outside, torch.tensor(IMAGENET_MEAN).expand_as(outside))


def test_without_changes_a_crop_of_the_pictures_size_is_the_picture() -> None:
    batch = blobs(2, 64, 96)
    images, labels = crop_batch(batch, (64, 96), STILL)
    torch.testing.assert_close(images, batch.images.float(), atol=0.01, rtol=0)
    assert torch.equal(labels, batch.labels.long())


def test_flips_swap_left_and_right_of_about_half_of_the_pictures() -> None:
    torch.manual_seed(0)
    batch = blobs(64, 64, 96)
    _, labels = crop_batch(batch, (64, 96), dataclasses.replace(STILL, flip=True))
    flipped = [torch.equal(a, b.flip(1)) for a, b in zip(labels, batch.labels.long(), strict=True)]
    kept = [torch.equal(a, b) for a, b in zip(labels, batch.labels.long(), strict=True)]
    assert sum(flipped) + sum(kept) == 64
    assert 20 < sum(flipped) < 44


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_scale_is_the_size_of_things(factor: float) -> None:
    """A disc of a tenth of the picture."""
    disc = np.zeros((200, 200), np.uint8)
    cv2.circle(disc, (100, 100), 36, 1, -1)
    labels = torch.from_numpy(disc)[None]
    batch = Batch(labels[:, None].expand(-1, 3, -1, -1).contiguous(), labels, torch.tensor([[200.0, 200.0]]))
    _, found = crop_batch(batch, (400, 400), dataclasses.replace(STILL, scale=(factor, factor)))
    assert int((found == 1).sum()) == pytest.approx(disc.sum() * factor**2, rel=0.03)
