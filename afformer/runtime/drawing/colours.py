"""The colours of classes in overlays: distinct, visible on bright and dark pictures, near the palette."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from afformer.runtime.choices import Colours
from afformer.runtime.drawing import oklab
from afformer.runtime.drawing.oklab import Floats, Vision
from afformer.spec import RGB

_EXPECTED: dict[str, RGB] = {
    **dict.fromkeys(("sky",), (110, 185, 255)),
    **dict.fromkeys(("tree", "vegetation", "grass", "plant"), (60, 165, 50)),
    **dict.fromkeys(("person", "pedestrian"), (235, 40, 60)),
    **dict.fromkeys(("water", "sea", "river"), (40, 110, 220)),
}
"""Words in a class name that make people expect a colour, whatever the palette says."""

_CHROMA = np.linspace(0.06, 0.21, 6)
_HUE = np.radians(np.arange(0, 360, 10))
_DRIFT_LIGHTNESS_WEIGHT = 0.4
_GREY, _VIVID = 0.03, 0.15
"""Chroma below which a colour has no hue to keep, and the chroma that a colour with a hue should have."""
_DRIFT, _STEEPNESS = 0.1, 8
"""The OKLab distance at which the palette pulls with force 1, and how steeply the push between classes grows."""
_ROUNDS, _SWEEPS = 4, 60


@dataclasses.dataclass(frozen=True)
class _Needs:
    """The rules that colours are chosen by.

    Attributes:
        lightness: OKLab's lightness, from, to and number of steps: neither black nor white.
        visions: Who must tell the colours apart.
        lightness_weight: How much a difference in lightness counts. A picture's own light and shadow hides it.
        spacing: The OKLab distance at which two colours push each other with force 1, were there no third.
        loyalty: How strong the palette's pull is.
    """

    lightness: tuple[float, float, int]
    visions: tuple[Vision, ...]
    lightness_weight: float
    spacing: float
    loyalty: float


_NEEDS = {
    Colours.AUTO: _Needs((0.58, 0.88, 9), (Vision.FULL,), lightness_weight=0.4, spacing=0.38, loyalty=0.5),
    # lightness is most of what the colour-blind have to go by
    Colours.COLORBLIND: _Needs((0.42, 0.94, 13), tuple(Vision), lightness_weight=1.0, spacing=0.5, loyalty=0.2),
}


@functools.lru_cache(maxsize=32)
def overlay_colours(
    classes: tuple[str, ...], palette: tuple[RGB, ...], colours: Colours = Colours.AUTO
) -> tuple[RGB, ...]:
    """The colours of a model's classes in overlays; always the same for the same model.

    Every class starts at the candidate colour nearest to its palette colour. Then classes move, one by one, to where
    the push of the others, (spacing / distance)^8, and the square of the distance from the palette are least.

    Args:
        classes: Class names. Sky, plants, people and water get the colour that people expect.
        palette: One RGB colour per class.
        colours: What to choose by.

    Returns:
        One RGB colour per class.
    """
    if colours is Colours.DATASET or not palette:
        return palette
    needs = _NEEDS[colours]
    rgb = _candidates(needs)
    spacing = needs.spacing * len(palette) ** (-1 / 3)
    push = (spacing / np.maximum(_differences(rgb, needs), 0.01)) ** _STEEPNESS
    pull = needs.loyalty * (_drift(_expected(classes, palette), rgb) / _DRIFT) ** 2
    chosen = pull.argmin(axis=1)
    for _ in range(_ROUNDS):
        before = chosen.copy()
        _settle(chosen, push, pull)
        _swap(chosen, pull)
        if (chosen == before).all():
            break
    return tuple((int(red), int(green), int(blue)) for red, green, blue in rgb[chosen])


def least_difference(colours: Sequence[RGB], vision: Vision = Vision.FULL) -> float:
    """The OKLab distance of the two colours that are the hardest to tell apart; infinite for a single one."""
    lab = oklab.from_rgb(np.array(colours), vision)
    differences = oklab.distances(lab, lab)
    np.fill_diagonal(differences, np.inf)
    return float(differences.min())


def _candidates(needs: _Needs) -> npt.NDArray[np.int64]:
    """`(n, 3)`: the RGB colours of a grid in lightness, chroma and hue that screens can show, and greys."""
    lightness, chroma, hue = np.meshgrid(np.linspace(*needs.lightness), np.append(0, _CHROMA), _HUE, indexing="ij")
    rgb = oklab.to_rgb(np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1).reshape(-1, 3))
    shown = ((rgb > -0.5) & (rgb < 255.5)).all(axis=1)
    return np.unique(np.round(rgb[shown]).astype(np.int64), axis=0)


def _differences(rgb: npt.NDArray[np.int64], needs: _Needs) -> Floats:
    """`(n, n)`: how different two candidates look, to those who tell them apart the least."""
    weights = (needs.lightness_weight, 1.0, 1.0)
    seen = [oklab.from_rgb(rgb, vision) * weights for vision in needs.visions]
    return np.asarray(np.min([oklab.distances(lab, lab) for lab in seen], axis=0), np.float64)


def _expected(classes: tuple[str, ...], palette: tuple[RGB, ...]) -> Floats:
    """`(classes, 3)` OKLab: the palette's colours, or the colours that names suggest; dull hues made vivid."""
    words = [re.findall(r"[a-z]+", name.lower()) for name in classes]
    named = [next((_EXPECTED[word] for word in some if word in _EXPECTED), None) for some in words]
    lab = oklab.from_rgb(np.array([name or colour for name, colour in zip(named, palette, strict=True)]))
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    lab[:, 1:] *= np.where(chroma > _GREY, np.maximum(1, _VIVID / np.maximum(chroma, _GREY)), 1)[:, None]
    return lab


def _drift(wanted: Floats, rgb: npt.NDArray[np.int64]) -> Floats:
    """`(classes, n)`: how far each candidate is from what a class should have."""
    weights = (_DRIFT_LIGHTNESS_WEIGHT, 1.0, 1.0)
    return oklab.distances(wanted * weights, oklab.from_rgb(rgb) * weights)


def _settle(chosen: npt.NDArray[np.intp], push: Floats, pull: Floats) -> None:
    """Moves every class to its best candidate in turn, until none moves any more."""
    for _ in range(_SWEEPS):
        before = chosen.copy()
        for class_id in range(len(chosen)):
            others = np.delete(chosen, class_id)
            chosen[class_id] = (push[others].sum(axis=0) + pull[class_id]).argmin()
        if (chosen == before).all():
            return


def _swap(chosen: npt.NDArray[np.intp], pull: Floats) -> None:
    """Lets two classes change colours as long as that brings them nearer to the palette."""
    for _ in range(len(chosen) ** 2):
        costs = pull[:, chosen]
        own = np.diag(costs)
        change = costs + costs.T - own[:, None] - own
        one, other = np.unravel_index(change.argmin(), change.shape)
        if change[one, other] > -1e-9:
            return
        chosen[[one, other]] = chosen[[other, one]]
