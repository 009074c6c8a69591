"""Pictures in parts: what a worker does at a time, and what becomes one file of results."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

from afformer.batch.items import Item
from afformer.batch.results import Done

_PARTS_A_WORKER = 4
"""So that no worker is left with much when the others are done."""


@dataclasses.dataclass(frozen=True)
class Part:
    """Some pictures.

    Attributes:
        name: The file that their results go to. It follows from the pictures, so that a part that is done twice is
            still there once.
        items: The pictures.
        again: Whether the file is there, and the pictures are those in it that are to be tried again.
    """

    name: str
    items: tuple[Item, ...]
    again: bool = False


def part_size(items: int, workers: int, most: int) -> int:
    """Pictures of a part: as many as are allowed, or fewer, so that all workers have something to do."""
    return max(1, min(most, -(-items // (workers * _PARTS_A_WORKER))))


def missing_parts(items: Sequence[Item], done: Mapping[str, Done], size: int) -> list[Part]:
    """Parts of the pictures that have no results yet. Cut from all pictures, so that a rerun makes the same parts."""
    parts = []
    for start in range(0, len(items), size):
        left = tuple(item for item in items[start : start + size] if item.key not in done)
        if left:
            parts.append(Part(_name(left), left))
    return parts


def failed_parts(items: Sequence[Item], done: Mapping[str, Done]) -> list[Part]:
    """Parts that are there, with those of the pictures that could not be used."""
    failed: dict[str, list[Item]] = {}
    for item in items:
        found = done.get(item.key)
        if found and found.error is not None:
            failed.setdefault(found.part, []).append(item)
    return [Part(name, tuple(again), again=True) for name, again in failed.items()]


def _name(items: Sequence[Item]) -> str:
    keys = "\n".join(item.key for item in items)
    return f"part-{hashlib.sha256(keys.encode()).hexdigest()[:24]}.parquet"
