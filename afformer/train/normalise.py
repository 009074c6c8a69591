"""What the network wants of a picture, inside and outside of training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from afformer.spec import Channels


class Normalise(nn.Module):
    """`(n, 3, h, w)` RGB, 0..255 -> float32 with the mean taken off and divided by the deviation."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Channels, std: Channels) -> None:
        super().__init__()
        self._values = mean, std
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Same shape, float32."""
        return (images.float() - self.mean) / self.std

    def values(self) -> tuple[Channels, Channels]:
        """Mean and deviation, as given."""
        return self._values
