from __future__ import annotations

import torch

from afformer.train.colours import Recolour


def test_a_strength_of_zero_changes_nothing() -> None:
    images = torch.rand(2, 3, 8, 8) * 255
    assert torch.equal(Recolour(0.0)(images), images)


def test_every_picture_gets_other_colours_and_none_becomes_unrecognisable() -> None:
    torch.manual_seed(0)
    ramp = torch.linspace(20, 235, 64).view(1, 1, 1, 64).expand(32, 3, 64, 64)
    found = Recolour(1.0)(ramp)
    assert found.shape == ramp.shape
    assert found.mean((2, 3)).std(0).min() > 10
    brightness = found.mean((1, 2))
    assert (brightness[:, 48:].mean(1) > brightness[:, :16].mean(1) + 30).all()


def test_colours_turn_about_the_grey_axis() -> None:
    """Hue and saturation leave a grey picture grey; noise and the channels' gains move it a little."""
    torch.manual_seed(0)
    recolour = Recolour(1.0)
    turn = recolour._turned_hues(16, torch.device("cpu"))
    torch.testing.assert_close(turn @ torch.ones(3), torch.ones(16, 3), atol=3e-3, rtol=0)
    assert (turn @ torch.tensor([1.0, 0.0, 0.0]) - torch.tensor([1.0, 0.0, 0.0])).abs().max() > 0.1
