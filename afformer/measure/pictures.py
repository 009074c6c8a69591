"""Shared by all measurements on pictures: reports those that cannot be read, and fills a model's batch.

A segmenter is anything that takes a picture, `(H, W, 3)` uint8 RGB, and gives its class map, `(H, W)` class ids. One
that is a `BatchSegmenter` as well is given as many pictures at a time as it takes.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from afformer.errors import ImageError
from afformer.images import ClassMap, RGBImage
from afformer.progress import Progress
from afformer.runtime.batches import BatchSegmenter

Segment = Callable[[RGBImage], ClassMap]
T = TypeVar("T")
_LISTED = 5
"""Pictures that a result names as its best, and as its worst."""


@dataclasses.dataclass(frozen=True)
class Failure:
    """A picture that could not be used.

    Attributes:
        picture: Its path.
        reason: One line that names the file.
    """

    picture: Path
    reason: str


@dataclasses.dataclass(frozen=True)
class PictureScore:
    """The score of one picture.

    Attributes:
        picture: Its path.
        score: Share of its pixels, 0..1, that are right or that agree.
    """

    picture: Path
    score: float


def worst_pictures(scores: Sequence[PictureScore]) -> tuple[PictureScore, ...]:
    """The few with the lowest score, the lowest first."""
    return tuple(sorted(scores, key=_SCORE)[:_LISTED])


def best_pictures(scores: Sequence[PictureScore]) -> tuple[PictureScore, ...]:
    """The few with the highest score, the highest first, without those that are among the worst."""
    ordered = sorted(scores, key=_SCORE)
    return tuple(reversed(ordered[max(_LISTED, len(ordered) - _LISTED) :]))


_SCORE = operator.attrgetter("score")


def read_all(
    items: Sequence[tuple[Path, ...]], read: Callable[..., T], failures: list[Failure], progress: Progress
) -> Iterator[T]:
    """Yields what `read` returns for each item; an `ImageError` becomes a failure.

    Args:
        items: Each a picture, and the other files that `read` takes with it.
        read: Called with the paths of an item.
        failures: Those that cannot be used are added to it.
        progress: Told how many pictures are done.
    """
    for done, paths in enumerate(items):
        progress("pictures", done, len(items))
        try:
            found = read(*paths)
        except ImageError as error:
            failures.append(Failure(paths[0], str(error)))
        else:
            yield found
    progress("pictures", len(items), len(items))


def batch_of(segment: Segment) -> int:
    """How many pictures a segmenter takes at a time."""
    return segment.batch if isinstance(segment, BatchSegmenter) else 1


def classmaps(segment: Segment, images: list[RGBImage]) -> list[ClassMap]:
    """One a picture, each an array of its own: a segmenter may write the next one into the same buffer."""
    if isinstance(segment, BatchSegmenter):
        return segment.segment_batch(images)
    return [segment(image).copy() for image in images]
