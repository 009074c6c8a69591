"""The order of the training pictures: one permutation an epoch, known from the seed alone."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np


@dataclasses.dataclass(frozen=True)
class Order:
    """Picture after picture without end, each once an epoch.

    Attributes:
        pictures: How many there are.
        seed: Decides the permutations.
        start: How many to pass over, so that a run can go on in the middle of an epoch.
    """

    pictures: int
    seed: int
    start: int = 0

    def __iter__(self) -> Iterator[int]:
        epoch, skip = divmod(self.start, self.pictures)
        while True:
            yield from np.random.default_rng((self.seed, epoch)).permutation(self.pictures)[skip:].tolist()
            epoch, skip = epoch + 1, 0

    def batches(self, batch: int) -> Iterator[list[int]]:
        """Groups of `batch` indices; a group may reach into the next epoch."""
        indices = iter(self)
        while True:
            yield list(itertools.islice(indices, batch))
