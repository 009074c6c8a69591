"""How much of a picture each class takes."""

from __future__ import annotations

import dataclasses

import numpy as np

from afformer.counts import id_counts
from afformer.images import ClassMap


@dataclasses.dataclass(frozen=True)
class Share:
    """How much of a picture one class takes.

    Attributes:
        class_id: The class.
        pixels: Number of its pixels.
        share: The same as a share of all pixels, 0..1.
    """

    class_id: int
    pixels: int
    share: float


def class_shares(classmap: ClassMap) -> list[Share]:
    """The classes that occur in a class map, the largest first."""
    counts = id_counts(classmap, int(classmap.max(initial=0)) + 1)
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda class_id: (-counts[class_id], class_id))
    return [Share(class_id, int(counts[class_id]), int(counts[class_id]) / classmap.size) for class_id in order]
