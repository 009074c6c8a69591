from __future__ import annotations

import torch

from afformer.train.scenery import painted_sky, shadowed

SKY, GROUND = 3, 1


def scene(n: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.full((n, 48, 64), GROUND)
    labels[:, :20] = SKY
    return torch.full((n, 3, 48, 64), 100.0), labels


def test_only_the_sky_is_painted_in_about_the_share_that_was_asked_for() -> None:
    torch.manual_seed(0)
    images, labels = scene()
    painted = painted_sky(images, labels, SKY, share=0.5)
    changed = (painted != images).any(1)
    assert not changed[labels == GROUND].any()
    assert 8 < changed.flatten(1).any(1).sum() < 24
    assert torch.equal(painted_sky(images, labels, SKY, share=0), images)


def test_skies_differ_and_stay_colours() -> None:
    torch.manual_seed(0)
    images, labels = scene()
    painted = painted_sky(images, labels, SKY, share=1)[:, :, :20]
    assert painted.min() >= 0
    assert painted.max() <= 255
    assert painted.mean((2, 3)).std(0).min() > 10


def test_a_shadow_darkens_a_part_of_the_ground_and_never_the_sky() -> None:
    torch.manual_seed(0)
    images, labels = scene()
    dark = shadowed(images, labels, SKY, share=1)
    assert torch.equal(dark[:, :, :20], images[:, :, :20])
    least, most = dark[:, 0, 20:].flatten(1).aminmax(dim=1)
    assert least.min() >= 40
    assert (most - least > 15).sum() > 20
    assert (shadowed(images, labels, None, share=1)[:, :, :20] < 100).any()
    assert torch.equal(shadowed(images, labels, SKY, share=0), images)
