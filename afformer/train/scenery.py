"""Another sky and other light: what a data set of one city on one day does not show.

Pictures are `(n, 3, H, W)` float32 RGB, 0..255; labels `(n, H, W)` class ids.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody knows
from torch import Tensor

from afformer.train.draw import chosen, uniform

_HIGH = ((20, 150), (70, 190), (120, 255))
"""Red, green and blue at the zenith: deep blue, grey, or orange where the red is high and the blue is low."""
_LOW = ((150, 255), (170, 255), (180, 255))
"""The same at the horizon: paler."""
_CLOUD = 245
_CLOUD_GRID = (8, 11)


def painted_sky(images: Tensor, labels: Tensor, sky: int, share: float) -> Tensor:
    """Paints another sky over what the label calls sky, in a share of the pictures: a gradient with clouds.

    Half of the old sky's light or less shines through.
    """
    n, _, height, width = images.shape
    device = images.device
    strength = chosen(share, (n, 1, 1, 1), device) * uniform(0.5, 1, (n, 1, 1, 1), device)
    sky_here = strength * (labels == sky)[:, None]  # (n, 1, H, W)
    return images + (_sky(n, height, width, device) - images) * sky_here


def _sky(n: int, height: int, width: int, device: torch.device) -> Tensor:
    """`(n, 3, H, W)`: another one for every picture."""
    high, low = (
        torch.cat([uniform(*ends, (n, 1, 1, 1), device) for ends in colours], 1) for colours in (_HIGH, _LOW)
    )  # each (n, 3, 1, 1)
    low = high + (low - high) * uniform(0.2, 1, (n, 1, 1, 1), device)
    depth = torch.linspace(0, 1, height, device=device).view(1, 1, height, 1)
    clear = high + (low - high) * (depth * uniform(1, 3, (n, 1, 1, 1), device)).clamp(max=1)  # (n, 3, H, 1)
    noise = torch.rand((n, 1, *_CLOUD_GRID), device=device)
    noise = F.interpolate(noise, (height, width), mode="bicubic", align_corners=False)
    clouds = (noise - uniform(0.3, 1.2, (n, 1, 1, 1), device)).clamp(0, 0.6)  # (n, 1, H, W)
    return clear + (_CLOUD - clear) * clouds


def shadowed(images: Tensor, labels: Tensor, sky: int | None, share: float) -> Tensor:
    """Darkens one side of a random line by 20 to 60 %, in a share of the pictures; never the sky."""
    n, _, height, width = images.shape
    device = images.device
    angle, offset = uniform(0, 2 * math.pi, (n, 1, 1), device), uniform(-0.6, 0.6, (n, 1, 1), device)
    x = torch.linspace(-1, 1, width, device=device).view(1, 1, width)
    y = torch.linspace(-1, 1, height, device=device).view(1, height, 1)
    side = torch.sigmoid((x * torch.cos(angle) + y * torch.sin(angle) - offset) * 30)[:, None]  # (n, 1, H, W)
    dark = side * chosen(share, (n, 1, 1, 1), device) * uniform(0.2, 0.6, (n, 1, 1, 1), device)
    if sky is not None:
        dark = dark * (labels != sky)[:, None]
    return images * (1 - dark)
