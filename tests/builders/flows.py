"""A source, a sink and a segmenter of numbers, which show what a flow does with each frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from afformer.images import ClassMap, RGBImage
from afformer.streams.frames import Frame, FrameSource
from afformer.streams.sinks import Sink

OnStage = Callable[[str, int], None]
"""Called before a stage (read, segment, write) handles the frame of that number."""


class NumberedFrames(FrameSource):
    """Pictures of one grey level: their number."""

    def __init__(self, count: int, on_stage: OnStage = lambda *_: None) -> None:
        self.count, self.on_stage, self.closed = count, on_stage, False
        self.recycled: list[int] = []

    def __iter__(self) -> Iterator[Frame]:
        for i in range(self.count):
            self.on_stage("read", i)
            yield Frame(i, f"f{i}", np.full((2, 3, 3), i, np.uint8))

    def recycle(self, frame: Frame) -> None:
        self.recycled.append(frame.index)

    def close(self) -> None:
        self.closed = True


class RecordingSink(Sink):
    """Keeps index and first class id of every frame."""

    def __init__(self, on_stage: OnStage = lambda *_: None) -> None:
        self.on_stage, self.seen, self.closed = on_stage, list[tuple[int, int]](), False

    def write(self, frame: Frame, classmap: ClassMap) -> list[Path]:
        self.on_stage("write", frame.index)
        self.seen.append((frame.index, int(classmap[0, 0])))
        return [Path(frame.name)]

    def close(self) -> list[Path]:
        self.closed = True
        return [Path("finished")]


def number_of(image: RGBImage, /, *, out: ClassMap | None = None) -> ClassMap:
    """Segments a picture into its number."""
    return np.add(image[..., 0], 0, out=out)


def fails_at(stage: str, number: int, error: Exception) -> OnStage:
    def on_stage(where: str, index: int) -> None:
        if (where, index) == (stage, number):
            raise error

    return on_stage
