"""What the caller chooses."""

from __future__ import annotations

import dataclasses
import math

from afformer.choice import take_choices
from afformer.errors import QuantizeError
from afformer.quantize import pictures, search
from afformer.quantize.choices import MAX_DROP
from afformer.quantize.observers import Method
from afformer.quantize.placement import TABLE, Target


@dataclasses.dataclass(frozen=True)
class QuantizeOptions:
    """What the INT8 model is to be like. Enums may be given as their strings.

    Attributes:
        target: What it is made for.
        method: How ranges are chosen.
        max_drop: Points of mIoU (with labels) or of pixel agreement (without) that may be lost; None or infinity allows
            any drop.
        allow_drop: Whether to accept a larger drop.
        allow_slower: Whether to accept a model that is not faster than float on this machine.
        budget: Candidates that the search may score.
        weight_bits: 8 or 7; None takes the target's own (`placement.TABLE`).
        pictures: Calibration pictures to use at most.
        correct_biases: Whether biases make up for the mean shift that rounding the weights adds.
        equalise: Whether the channels of a tensor are brought to one range.
        time_blocks: Whether to time every block against its float self; done only if this machine is the target.
    """

    target: Target = Target.X86
    method: Method = Method.PERCENTILE
    max_drop: float | None = MAX_DROP
    allow_drop: bool = False
    allow_slower: bool = False
    budget: int = search.BUDGET
    weight_bits: int | None = None
    pictures: int = pictures.LIMIT
    correct_biases: bool = True
    equalise: bool = True
    time_blocks: bool = True

    def __post_init__(self) -> None:
        take_choices(self, target=Target, method=Method)
        if self.max_drop is not None and not self.max_drop >= 0:
            raise QuantizeError(f"`max_drop` must be 0 points or more, but got {self.max_drop}")
        if self.weight_bits not in (None, 7, 8):
            raise QuantizeError(f"`weight_bits` must be 7 or 8, but got {self.weight_bits}")

    @property
    def limit(self) -> float | None:
        """Points that may be lost; None if any may."""
        return None if self.max_drop is None or math.isinf(self.max_drop) else self.max_drop

    @property
    def bits(self) -> int:
        """Bits of the weights: those asked for, or the target's own."""
        return self.weight_bits or TABLE[self.target].weight_bits
