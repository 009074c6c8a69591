"""Random crops: scaled, stretched, turned, flipped and moved in one step, pictures and labels alike."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody knows
from torch import Tensor

from afformer.datasets import IGNORE
from afformer.spec import IMAGENET_MEAN
from afformer.train.draw import chosen, uniform
from afformer.train.options import Changes
from afformer.train.pictures import Batch


def crop_batch(batch: Batch, crop_hw: tuple[int, int], changes: Changes) -> tuple[Tensor, Tensor]:
    """Cuts a random part of the crop's size out of every picture.

    Args:
        batch: n pictures.
        crop_hw: Height h and width w of the crop, in pixels.
        changes: How far the crop may be scaled, stretched and turned.

    Returns:
        `(n, 3, h, w)` float32 RGB, 0..255, and `(n, h, w)` int64 class ids; outside of the picture the mean colour and
        `IGNORE`.
    """
    canvas = torch.empty_like(batch.sizes)  # (n, 2); filled with scalars, which a CUDA graph can record
    canvas[:, 0], canvas[:, 1] = batch.images.shape[2], batch.images.shape[3]
    place = F.affine_grid(
        random_maps(batch.sizes, crop_hw, changes), [len(batch.sizes), 3, *crop_hw], align_corners=False
    )  # (n, h, w, 2): x and y in the picture, -1..1
    inside = (place.abs() <= 1).all(3)  # (n, h, w)
    share = (batch.sizes / canvas).flip(1)[:, None, None]  # (n, 1, 1, 2): x and y
    place = (place + 1) * share - 1  # in the canvas
    images = F.grid_sample(batch.images.float(), place, "bilinear", "border", align_corners=False)
    ids = F.grid_sample(batch.labels[:, None].float(), place, "nearest", "border", align_corners=False)[:, 0].long()
    outside = torch.stack([torch.full_like(images[:, 0], value) for value in IMAGENET_MEAN], 1)
    return torch.where(inside[:, None], images, outside), torch.where(inside, ids, IGNORE)


def random_maps(sizes: Tensor, crop_hw: tuple[int, int], changes: Changes) -> Tensor:
    """Affine maps from the crop's coordinates to the picture's, both -1..1 with x first.

    With picture size (H, W), crop size (h, w), scale s, stretch r, angle t, flip f = -1 or 1 and aspect a = w / h:

        x' = w / (W s r) * (f cos(t) x - sin(t) / a y) + move
        y' = h r / (H s) * (f a sin(t) x +   cos(t) y) + move

    The moves keep a crop that is smaller than the picture within it, and a larger one around it.

    Args:
        sizes: `(n, 2)` float32, height and width in pixels.
        crop_hw: Height and width of the crop, in pixels.
        changes: The limits of what is drawn.

    Returns:
        `(n, 2, 3)` float32.
    """
    n, device, (height, width) = (len(sizes),), sizes.device, crop_hw
    scale = torch.exp(uniform(math.log(changes.scale[0]), math.log(changes.scale[1]), n, device))
    stretch = torch.exp(uniform(-changes.stretch, changes.stretch, n, device))
    angle = uniform(-changes.turn, changes.turn, n, device)
    flip = 1 - 2 * chosen(0.5 if changes.flip else 0.0, n, device)
    share_x = width / sizes[:, 1] / (scale * stretch)
    share_y = height / sizes[:, 0] * stretch / scale
    move_x = uniform(-1, 1, n, device) * (1 - share_x).abs()
    move_y = uniform(-1, 1, n, device) * (1 - share_y).abs()
    cos, sin, aspect = torch.cos(angle), torch.sin(angle), width / height
    x = torch.stack([share_x * cos * flip, -share_x * sin / aspect, move_x], 1)
    y = torch.stack([share_y * sin * aspect * flip, share_y * cos, move_y], 1)
    return torch.stack([x, y], 1)
