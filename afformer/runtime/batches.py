"""Several pictures at a time, for models exported with a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar, runtime_checkable

from afformer.images import ClassMap, RGBImage

Item = TypeVar("Item")


@runtime_checkable
class BatchSegmenter(Protocol):
    """Segments several pictures at a time, as a `Segmenter` does."""

    @property
    def batch(self) -> int:
        """Pictures at a time."""
        ...

    def segment_batch(
        self, images: Sequence[RGBImage], /, *, out: Sequence[ClassMap | None] | None = None
    ) -> list[ClassMap]:
        """From pictures, `(H, W, 3)` uint8 RGB, to class maps, `(H, W)` class ids, in `out` where given."""
        ...


def groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Groups of `size` items, in order. Before an error and at the end, what is left is a smaller group."""
    group: list[Item] = []
    try:
        for item in items:
            group.append(item)
            if len(group) == size:
                yield group
                group = []
    except Exception:
        if group:
            yield group
        raise
    if group:
        yield group
