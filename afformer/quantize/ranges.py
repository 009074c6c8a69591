"""The range of a tensor: calibration finds it, lowering turns it into a grid."""

from __future__ import annotations

import dataclasses
import math

from afformer.errors import QuantizeError


@dataclasses.dataclass(frozen=True)
class Range:
    """The smallest and largest value of a tensor that INT8 keeps; values outside are clipped.

    Attributes:
        low: Smallest value. It may be above zero: `Grid.over` widens the range to contain zero.
        high: Largest value, not below `low`.

    Raises:
        ValueError: Not two finite numbers in order.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"a range must be two finite numbers, low <= high, but got {self.low} and {self.high}")


Ranges = dict[str, Range]
"""Range by tensor name."""


def range_for(ranges: Ranges, tensor: str) -> Range:
    """The range of a tensor.

    Raises:
        QuantizeError: There is none.
    """
    if tensor not in ranges:
        raise QuantizeError(
            f"tensor '{tensor}' has no range; expected one from calibrating this model, calibrate it again"
        )
    return ranges[tensor]
