from __future__ import annotations

import numpy as np
import pytest
import torch

from afformer.datasets import IGNORE
from afformer.train.augmentation import Augmentation, pasted, pasting_odds
from afformer.train.options import Changes
from afformer.train.pictures import Batch

CERTAIN = torch.tensor([0.0, 1.0, 0.0])
"""Odds of classes 0 and 1, and of none: class 1 is always pasted."""


def two_pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Each of its own grey; the first has class 1 at the left, the second class 1 at the top and a hole."""
    images = torch.stack([torch.full((3, 8, 8), 10.0), torch.full((3, 8, 8), 200.0)])
    labels = torch.zeros(2, 8, 8, dtype=torch.long)
    labels[0, :, :2] = 1
    labels[1, :3] = 1
    labels[1, 7] = IGNORE
    return images, labels


def test_things_are_pasted_with_their_labels_and_nothing_else_is() -> None:
    images, labels = two_pictures()
    mixed, ids = pasted(images, labels, CERTAIN, share=1)
    for mine, other in ((0, 1), (1, 0)):
        thing = labels[other] == 1
        assert (mixed[mine][:, thing] == images[other, 0, 0, 0]).all()
        assert (ids[mine][thing] == 1).all()
        assert (mixed[mine][:, ~thing] == images[mine, 0, 0, 0]).all()
        assert torch.equal(ids[mine][~thing], labels[mine][~thing])


def test_a_share_of_zero_pastes_nothing() -> None:
    images, labels = two_pictures()
    mixed, ids = pasted(images, labels, CERTAIN, share=0)
    assert torch.equal(mixed, images)
    assert torch.equal(ids, labels)


def test_rare_classes_are_pasted_more_often_and_ignored_pixels_never() -> None:
    odds = pasting_odds(np.array([900_000, 90_000, 10_000, 0]))
    assert odds[:3].tolist() == pytest.approx([0.1, 0.2, 0.6])
    assert odds[-1] == 0


@pytest.mark.parametrize(("name", "sky"), [("Sky", 1), ("sky-other", 1), ("skyscraper", None)])
def test_the_sky_is_found_by_its_name(name: str, sky: int | None) -> None:
    augment = Augmentation(Changes(), (64, 64), ("road", name), np.array([1, 1]))
    assert augment.sky == sky


def test_a_batch_keeps_within_the_range_of_pixels_and_classes() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    batch = Batch(
        torch.from_numpy(rng.integers(0, 256, (6, 3, 80, 100), np.uint8)),
        torch.from_numpy(rng.choice(np.array([0, 1, 2, IGNORE], np.uint8), (6, 80, 100))),
        torch.tensor([[80.0, 100.0]] * 6),
    )
    images, labels = Augmentation(Changes(), (64, 72), ("sky", "a", "b"), np.array([9, 5, 1]))(batch)
    assert images.shape == (6, 3, 64, 72)
    assert images.min() >= 0
    assert images.max() <= 255
    assert set(labels.unique().tolist()) == {0, 1, 2, IGNORE}
