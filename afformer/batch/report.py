"""`BatchReport`: what became of the pictures."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class BatchReport:
    """What became of the pictures.

    Attributes:
        folder: Where the results are.
        pictures: How many were named.
        segmented: How many have been segmented now.
        already_done: How many had results before.
        failed: How many could not be used, now or before.
        errors: Why, of the first of them.
        seconds: What the work took, with the start of the workers.
        nodes: Pictures of this run by the node that they were done on.
    """

    folder: str
    pictures: int
    segmented: int
    already_done: int
    failed: int
    errors: tuple[str, ...]
    seconds: float
    nodes: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return dataclasses.asdict(self)
