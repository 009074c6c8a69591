"""What a training run is: its network, its budget, and how pictures are changed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from afformer.errors import AfformerError
from afformer.runtime.choices import Device

SMALLEST_CROP = 64
"""Pixels of a side: what the exporter takes at least, too."""


@dataclasses.dataclass(frozen=True)
class Changes:
    """How far training pictures are changed at random. Shares are of the pictures, 0..1.

    Attributes:
        scale: Smallest and largest factor of size, drawn evenly on a logarithmic scale.
        stretch: Largest change of the aspect ratio, as a natural logarithm.
        turn: Largest rotation, in radians.
        flip: Whether left and right may be swapped.
        colour: Strength of the changes of gamma, gain, contrast, saturation, hue and of the noise; 0 for none.
        paste: Share that gets things of rare classes from another picture of the batch.
        sky: Share whose sky is painted anew; without effect if no class is called sky.
        shadow: Share with a soft shadow over half of what is not sky.
    """

    scale: tuple[float, float] = (0.6, 2.2)
    stretch: float = 0.15
    turn: float = 0.06
    flip: bool = True
    colour: float = 1.0
    paste: float = 0.5
    sky: float = 0.35
    shadow: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise AfformerError(f"`scale` must be two factors above 0, the smaller one first, got {self.scale}")
        for name in ("paste", "sky", "shadow"):
            if not 0 <= getattr(self, name) <= 1:
                raise AfformerError(f"`{name}` must be a share from 0 to 1, got {getattr(self, name)}")
        if min(self.colour, self.stretch, self.turn) < 0:
            raise AfformerError("`colour`, `stretch` and `turn` must not be negative")


USUAL = Changes()


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """How a network is trained.

    Attributes:
        variant: `tiny`, `small` or `base`.
        epochs: Budget in passes over the training pictures.
        minutes: Budget in time instead; `epochs` is not used then.
        batch: Pictures a step.
        crop_hw: Height and width, in pixels, of what the network sees in training.
        lr: Peak learning rate.
        weight_decay: Of kernels and matrices; norms and biases do not decay.
        averaging: Share that the averaged weights keep in a step, once the run is under way.
        dice: Weight of the Dice loss beside cross entropy.
        drop_path: Share of residual branches dropped in the last block.
        init: Checkpoint to start from; None for random weights. A classifier of other classes is begun anew.
        bfloat16: Whether to compute in bfloat16 where it is safe; None does on CUDA only.
        device: Where to train.
        seed: Decides weights, order and changes.
        checks: How often in a run the weights are saved and validated, at even distances.
        stop_after: Check to stop after; a run with the same options goes on from there.
        workers: Threads that read pictures.
        memory_gb: Pictures are kept in memory if they take no more than this (for a moment twice), else read again for
            every batch.
        changes: How pictures are changed.
    """

    variant: str = "tiny"
    epochs: float = 400.0
    minutes: float | None = None
    batch: int = 16
    crop_hw: tuple[int, int] = (360, 480)
    lr: float = 2e-3
    weight_decay: float = 0.05
    averaging: float = 0.999
    dice: float = 0.5
    drop_path: float = 0.1
    init: Path | None = None
    bfloat16: bool | None = None
    device: Device = Device.CPU
    seed: int = 0
    checks: int = 20
    stop_after: int | None = None
    workers: int = 2
    memory_gb: float = 8.0
    changes: Changes = USUAL

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "lr", "checks", "workers"):
            if getattr(self, name) <= 0:
                raise AfformerError(f"`{name}` must be above 0, got {getattr(self, name)}")
        if self.minutes is not None and self.minutes <= 0:
            raise AfformerError(f"`minutes` must be above 0, got {self.minutes}")
        if min(self.crop_hw) < SMALLEST_CROP:
            height, width = self.crop_hw
            raise AfformerError(f"`crop_hw` must be at least {SMALLEST_CROP}x{SMALLEST_CROP}, got {height}x{width}")
        if not 0 <= self.averaging < 1:
            raise AfformerError(f"`averaging` must be from 0 to below 1, got {self.averaging}")


DEFAULT = TrainOptions()
"""AFFormer-tiny for CamVid, 400 epochs."""
