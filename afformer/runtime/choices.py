"""What a caller chooses when a model is opened; imports nothing heavy, so that the commands can offer it."""

from __future__ import annotations

import enum


class Device(enum.Enum):
    """Where a model runs. What was asked for and is not there is an error, never a silent CPU."""

    CPU = "cpu"
    CUDA = "cuda"


class Fit(enum.Enum):
    """How a picture is brought to the model's input size."""

    STRETCH = "stretch"
    """Resized to the input size, whatever its aspect ratio."""
    PAD = "pad"
    """Resized inside the input size with its aspect ratio kept, then padded at the right or bottom with the mean."""
    SLIDE = "slide"
    """Left at its size and covered by overlapping tiles, whose logits are averaged; padded if smaller than a tile."""
