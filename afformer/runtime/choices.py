"""What a caller chooses when a model is opened or its results drawn; light, so that the commands can offer it."""

from __future__ import annotations

from afformer.choice import Choice


class Device(Choice):
    """Where a model runs. A missing device is an error; the CPU never takes its place silently."""

    CPU = "cpu"
    CUDA = "cuda"


class Fit(Choice):
    """How a picture is brought to the model's input size."""

    STRETCH = "stretch"
    """Resized to the input size, whatever its aspect ratio."""
    PAD = "pad"
    """Resized inside the input size with its aspect ratio kept, then padded at the right or bottom with the mean."""
    SLIDE = "slide"
    """Left at its size and covered by overlapping tiles, whose logits are averaged; padded if smaller than a tile."""


class Regions(Choice):
    """How JSON describes where a class is."""

    NONE = "none"
    POLYGONS = "polygons"
    """COCO's polygons, along the edges of pixels."""
    RLE = "rle"
    """COCO's run lengths."""


class Colours(Choice):
    """A choice of colours for overlays and legends. Masks have the data set's palette in any case."""

    AUTO = "auto"
    """Distinct colours near the data set's palette."""
    DATASET = "dataset"
    """The data set's palette as it is."""
    COLORBLIND = "colorblind"
    """Colours that are distinct for people who cannot tell red from green, too."""
