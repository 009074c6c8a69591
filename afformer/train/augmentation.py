"""All random changes of a batch, on the device that the network is on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from afformer.train.colours import Recolour
from afformer.train.draw import chosen
from afformer.train.geometry import crop_batch
from afformer.train.options import Changes
from afformer.train.pictures import Batch
from afformer.train.scenery import painted_sky, shadowed

SKY_NAMES = ("sky", "sky-other")
"""What data sets call the sky, in lower case."""


class Augmentation(nn.Module):
    """Crops, paints, recolours and pastes; see `Changes` for how far.

    Args:
        changes: What is done, and how often.
        crop_hw: Height and width of the result, in pixels.
        classes: Class names.
        pixels: `(classes,)` labelled pixels of each class in the whole split.
    """

    odds: Tensor

    def __init__(
        self, changes: Changes, crop_hw: tuple[int, int], classes: tuple[str, ...], pixels: npt.NDArray[np.int64]
    ) -> None:
        super().__init__()
        self.changes, self.crop_hw = changes, crop_hw
        self.sky = next((index for index, name in enumerate(classes) if name.lower() in SKY_NAMES), None)
        self.recolour = Recolour(changes.colour)
        self.register_buffer("odds", torch.from_numpy(pasting_odds(pixels)))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Changes a batch of n pictures.

        Returns:
            `(n, 3, h, w)` float32 RGB, 0..255; `(n, h, w)` int64 class ids, `IGNORE` for none.
        """
        images, labels = crop_batch(batch, self.crop_hw, self.changes)
        if self.sky is not None:
            images = painted_sky(images, labels, self.sky, self.changes.sky)
        images = shadowed(images, labels, self.sky, self.changes.shadow)
        images = self.recolour(images)
        images, labels = pasted(images, labels, self.odds, self.changes.paste)
        return images.clamp(0, 255), labels


def pasting_odds(pixels: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """How likely a class is pasted: 0.06 / sqrt(its share of the pixels), within 0.1 and 0.6.

    Returns:
        `(classes + 1,)`; the last one, for pixels without a class, is 0.
    """
    share = pixels / max(1, int(pixels.sum()))
    odds = np.clip(0.06 / np.sqrt(np.maximum(share, 1e-9)), 0.1, 0.6)
    return np.append(odds, 0).astype(np.float32)


def pasted(images: Tensor, labels: Tensor, odds: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Pastes things of some classes from the batch's previous picture where they lie, in a share of the pictures.

    After "ClassMix" (arXiv 2007.07936), with rare classes more often.

    Args:
        images: `(n, 3, h, w)`.
        labels: `(n, h, w)` int64.
        odds: `(classes + 1,)`; see `pasting_odds`.
        share: 0..1.
    """
    n, none = len(images), len(odds) - 1
    wanted = torch.rand((n, none + 1), device=images.device) < odds * chosen(share, (n, 1), images.device)
    others, their_labels = images.roll(1, 0), labels.roll(1, 0)
    taken = wanted.gather(1, their_labels.clamp(max=none).flatten(1)).view_as(labels)  # (n, h, w)
    return torch.where(taken[:, None], others, images), torch.where(taken, their_labels, labels)
