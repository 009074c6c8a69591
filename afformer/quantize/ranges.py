"""The range of a tensor: what calibration finds and lowering turns into a scale and a zero point."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Range:
    """The smallest and the largest value of a tensor that shall survive quantization; what lies outside is clipped.

    Attributes:
        low: Smallest value. It may be above zero: whoever makes a grid of the range adds the zero.
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
