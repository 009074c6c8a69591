"""What the caller chooses, and what the caller brings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from afformer.errors import QuantizeError
from afformer.images import RGBImage
from afformer.measure.timing import Timing
from afformer.quantize import pictures, search
from afformer.quantize.accuracy import Segment
from afformer.quantize.observers import Method
from afformer.quantize.placement import Target
from afformer.spec import ModelSpec

Array = npt.NDArray[np.generic]
Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""


@dataclasses.dataclass(frozen=True)
class QuantizeOptions:
    """What the INT8 model shall be like.

    Attributes:
        target: What it is made for.
        method: How ranges are chosen.
        max_drop: Points of mIoU (with labels) or of pixel agreement (without) that may be lost; None accepts any.
        allow_drop: Whether to accept a larger loss.
        allow_slower: Whether to accept a model that is not faster than float on this machine.
        budget: Candidates that the search may score.
        weight_bits: 8 or 7; None takes what `placement.TABLE` has for the target.
        pictures: Calibration pictures to use at most.
        correct_biases: Whether biases make up for what rounding the weights adds on average.
        time_blocks: Whether to time every block against its float self; only for a target that is this machine.
    """

    target: Target = Target.X86
    method: Method = Method.AVERAGE
    max_drop: float | None = None
    allow_drop: bool = False
    allow_slower: bool = False
    budget: int = search.BUDGET
    weight_bits: int | None = None
    pictures: int = pictures.LIMIT
    correct_biases: bool = True
    time_blocks: bool = True

    def __post_init__(self) -> None:
        if self.max_drop is not None and not self.max_drop >= 0:
            raise QuantizeError(f"the drop must be 0 points or more, but got {self.max_drop}")
        if self.weight_bits not in (None, 7, 8):
            raise QuantizeError(f"weights have 7 or 8 bits, but {self.weight_bits} were asked for")


@dataclasses.dataclass(frozen=True)
class Engines:
    """What runs models; passed in, because this stage does not know the runtime.

    Attributes:
        prepare: From a spec to the function that makes of an `(H, W, 3)` uint8 RGB picture the model's input tensor,
            without its batch axis.
        open_model: Opens a model file; gives its class map of an `(H, W, 3)` uint8 RGB picture.
        race: Times model files in turns against the first one; told of progress.
    """

    prepare: Callable[[ModelSpec], Callable[[RGBImage], Array]]
    open_model: Callable[[Path], AbstractContextManager[Segment]]
    race: Callable[[Sequence[Path], Callable[[int, int], None]], Sequence[Timing]]
