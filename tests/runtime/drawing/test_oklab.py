"""Colours as people see them."""

from __future__ import annotations

import numpy as np
import pytest

from afformer.runtime.drawing import oklab
from afformer.runtime.drawing.oklab import Vision


def test_reference_colours_have_their_published_values() -> None:
    # CSS Color 4 gives red as oklab(0.628 0.225 0.126) and lime as oklab(0.866 -0.234 0.180)
    lab = oklab.from_rgb([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0]])
    expected = [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.628, 0.225, 0.126], [0.866, -0.234, 0.180]]
    np.testing.assert_allclose(lab, expected, atol=1e-3)


def test_every_colour_comes_back() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (500, 3))
    np.testing.assert_allclose(oklab.to_rgb(oklab.from_rgb(rgb)), rgb, atol=0.01)


@pytest.mark.parametrize("vision", Vision)
def test_greys_look_grey_to_everybody(vision: Vision) -> None:
    greys = np.repeat(np.arange(0, 256, 15)[:, None], 3, axis=1)
    np.testing.assert_allclose(oklab.from_rgb(greys, vision), oklab.from_rgb(greys), atol=2e-3)


@pytest.mark.parametrize("vision", [Vision.PROTANOPIA, Vision.DEUTERANOPIA])
def test_red_and_green_come_closer_for_the_colour_blind_and_blue_and_yellow_stay_apart(vision: Vision) -> None:
    def apart(one: tuple[int, int, int], other: tuple[int, int, int], seen_with: Vision) -> float:
        lab = oklab.from_rgb([one, other], seen_with)
        return float(np.linalg.norm(lab[0, 1:] - lab[1, 1:]))

    red, green, blue, yellow = (200, 70, 50), (90, 130, 40), (40, 70, 200), (230, 220, 60)
    assert apart(red, green, vision) < 0.4 * apart(red, green, Vision.FULL)
    assert apart(blue, yellow, vision) > 0.8 * apart(blue, yellow, Vision.FULL)


def test_distances_are_those_between_all_pairs() -> None:
    one, other = oklab.from_rgb([[9, 9, 9], [200, 0, 0]]), oklab.from_rgb([[0, 0, 0], [200, 0, 0], [1, 2, 3]])
    expected = [[np.linalg.norm(a - b) for b in other] for a in one]
    np.testing.assert_allclose(oklab.distances(one, other), expected, atol=1e-6)
