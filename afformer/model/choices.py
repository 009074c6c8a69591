"""What a caller says about a checkpoint, to override its file or fill its gaps; imports nothing heavy."""

from __future__ import annotations

import dataclasses
import enum
import math
from pathlib import Path

from afformer.errors import CheckpointError
from afformer.spec import Channels, ColorOrder


class Weights(enum.Enum):
    """Which weights of a file that has several."""

    AUTO = "auto"
    """The moving average if there is one, else the raw weights."""
    EMA = "ema"
    """The moving average, or the teacher of a student."""
    RAW = "raw"
    """The weights that the optimizer moved."""


@dataclasses.dataclass(frozen=True)
class CheckpointOptions:
    """What is said about a checkpoint; None leaves it to the file.

    Attributes:
        mean: Mean of each channel, 0..255 scale, in the order of the network's input channels.
        std: Standard deviation of each channel, likewise.
        channel_order: Order of the network's input channels.
        weights: Which weights to take.
        dataset: Name of the data set whose classes, colours and label convention are meant.
        classes: File of class names.
        palette: File of colours.
        threshold: Sigmoid above which a one-channel head says foreground.
    """

    mean: Channels | None = None
    std: Channels | None = None
    channel_order: ColorOrder | None = None
    weights: Weights = Weights.AUTO
    dataset: str | None = None
    classes: Path | None = None
    palette: Path | None = None
    threshold: float | None = None

    def named(self) -> str:
        """The parameters that are given, for messages."""
        given = [f.name for f in dataclasses.fields(self) if getattr(self, f.name) != f.default]
        return ", ".join(f"`{name}`" for name in given)

    def __post_init__(self) -> None:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and (len(values) != 3 or not all(map(math.isfinite, values))):
                raise CheckpointError(f"`{name}` must be three finite numbers, got {values}")
        if self.std is not None and min(self.std) <= 0:
            raise CheckpointError(f"`std` must be above 0, got {self.std}")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise CheckpointError(f"`threshold` must lie between 0 and 1, got {self.threshold}")
        if self.dataset and self.classes:
            raise CheckpointError("`dataset` and `classes` both name the classes; give one of them")


AS_THE_FILE_SAYS = CheckpointOptions()
