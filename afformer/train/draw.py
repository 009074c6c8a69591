"""Random numbers on the device, from PyTorch's own generator: a CUDA graph draws new ones whenever it is replayed."""

from __future__ import annotations

import torch
from torch import Tensor


def uniform(low: float, high: float, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Evenly distributed float32 from `low` to `high`."""
    return torch.rand(shape, device=device) * (high - low) + low


def chosen(share: float, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """1.0 with a probability of `share`, else 0.0; float32."""
    return (torch.rand(shape, device=device) < share).float()
