"""Random colours: gamma, gain, contrast, hue, saturation and noise, as of other cameras and other hours."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from afformer.train.draw import uniform

_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
"""RGB to the YIQ colour space of NTSC (FCC 1953): hue is an angle between I and Q, saturation their length."""


class Recolour(nn.Module):
    """Changes colours at random, each picture in its own way.

    Args:
        strength: 1 for the usual changes, less for smaller ones, 0 for none.
    """

    to_yiq: Tensor
    to_rgb: Tensor

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength
        self.register_buffer("to_yiq", torch.tensor(_YIQ))
        self.register_buffer("to_rgb", torch.linalg.inv(torch.tensor(_YIQ)))

    def forward(self, images: Tensor) -> Tensor:
        """`(n, 3, H, W)` float32 RGB -> the same; 0..255, but may leave it."""
        if self.strength == 0:
            return images
        n, device, by = len(images), images.device, self.strength
        one = (n, 1, 1, 1)
        x = (images / 255).clamp(1e-4, 1) ** torch.exp(uniform(-0.4 * by, 0.4 * by, one, device))
        x = x * torch.exp(uniform(-0.35 * by, 0.35 * by, one, device))
        x = x * torch.exp(uniform(-0.15 * by, 0.15 * by, (n, 3, 1, 1), device))
        mean = x.mean((1, 2, 3), keepdim=True)
        x = (x - mean) * uniform(1 - 0.4 * by, 1 + 0.4 * by, one, device) + mean
        x = torch.einsum("bij,bjhw->bihw", self._turned_hues(n, device), x) * 255
        return x + torch.randn(x.shape, device=device) * uniform(0, 8 * by, one, device)

    def _turned_hues(self, n: int, device: torch.device) -> Tensor:
        """`(n, 3, 3)`: to YIQ, I and Q turned and stretched, and back."""
        hue = uniform(-0.25 * self.strength, 0.25 * self.strength, (n,), device)
        saturation = uniform(1 - 0.8 * self.strength, 1 + 0.7 * self.strength, (n,), device)
        cos, sin, zero = saturation * torch.cos(hue), saturation * torch.sin(hue), torch.zeros_like(hue)
        rows = (zero + 1, zero, zero), (zero, cos, -sin), (zero, sin, cos)
        turn = torch.stack([torch.stack(row, 1) for row in rows], 1)  # (n, 3, 3)
        return self.to_rgb @ turn @ self.to_yiq
