"""What a caller chooses when a model is quantized; imports nothing heavy, so that the commands can offer it."""

from __future__ import annotations

import enum

from afformer.spec import Target as Target  # noqa: PLC0414 - offered from here, too

MAX_DROP = 1.0
"""Points that an INT8 model may lose by default."""


class Method(enum.Enum):
    """How a range is chosen."""

    MINMAX = "minmax"
    AVERAGE = "average"
    PERCENTILE = "percentile"
    MSE = "mse"

    @property
    def needs_values(self) -> bool:
        """Whether every value must be counted, not just each picture's smallest and largest."""
        return self in (Method.PERCENTILE, Method.MSE)
