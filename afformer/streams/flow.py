"""Reading, segmenting and writing at the same time: three stages, two short queues, every frame in order.

    file:  [reader thread] -> queue -> [segmenter thread] -> queue -> [caller: smooth, draw, write, show]
    live:  [grabber thread, newest frame only] -> [segmenter thread] -> queue -> [caller]

A live frame never waits in a queue before it is segmented: it would grow old there. The caller's thread writes, since
windows belong to the main thread. Where the model takes a batch, a file's frames are segmented so many at a time; live
ones still come one by one, since to wait for more of them would make them old.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import enum
import functools
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from afformer.errors import ImageError
from afformer.images import ClassMap, RGBImage
from afformer.runtime.batches import BatchSegment, groups
from afformer.streams.pipes import Halt, Halted, Pipe
from afformer.streams.sinks import Sink
from afformer.streams.smoothing import Smoothing
from afformer.streams.sources import Frame, Source
from afformer.streams.window import Window

log = logging.getLogger(__name__)

OnFrame = Callable[[Frame, ClassMap, list[Path]], None]
"""Told of each frame once it is written, with its class map and files; both arrays are valid during the call only."""

_DEPTH = 2
_STUCK_S = 2.0
"""A thread that hangs in a dead pipe or stream is not waited for any longer than this."""


class Segment(Protocol):
    """A `Segmenter`, or anything like it. One that is a `BatchSegment` as well is given that many frames at a time."""

    def __call__(self, image: RGBImage, /, *, out: ClassMap | None = None) -> ClassMap:
        """From `(H, W, 3)` uint8 RGB to `(H, W)` class ids, in `out` if it is given, else in a new array."""
        ...


class Ending(enum.Enum):
    """Why a flow ended."""

    SOURCE = "end of the source"
    STOPPED = "stopped by the caller"
    QUIT = "quit in the window"
    INTERRUPTED = "interrupted"
    """By Ctrl-C or the system (SIGINT, SIGTERM)."""


@dataclasses.dataclass
class Stages:
    """Seconds spent in each stage, waiting for other stages left out. They overlap, so they sum up to more than passed.

    Attributes:
        read: Waiting for, decoding and converting frames.
        segment: Segmenting.
        write: Smoothing, drawing, encoding, showing.
    """

    read: float = 0.0
    segment: float = 0.0
    write: float = 0.0


@dataclasses.dataclass
class FlowReport:
    """What a flow did.

    Attributes:
        frames: Frames segmented and written.
        failures: Frames that could not be read, with their errors.
        dropped: Frames that a live source dropped because newer ones had come.
        seconds: From the first frame asked for to the last file finished.
        stages: Where the time went.
        worst_age_s: Longest time between a live frame's coming in and the start of its segmentation; 0 for files.
        worst_delay_s: Longest time between a live frame's coming in and its result being written; 0 for files.
        finished: Files that the sinks put in place at the end, such as a video.
        ending: Why it ended.
    """

    frames: int = 0
    failures: list[Frame] = dataclasses.field(default_factory=list)
    dropped: int = 0
    seconds: float = 0.0
    stages: Stages = dataclasses.field(default_factory=Stages)
    worst_age_s: float = 0.0
    worst_delay_s: float = 0.0
    finished: list[Path] = dataclasses.field(default_factory=list)
    ending: Ending = Ending.SOURCE

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C or the system ended it."""
        return self.ending is Ending.INTERRUPTED

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            **dataclasses.asdict(dataclasses.replace(self, failures=[], finished=[])),
            "failures": [str(frame.content) for frame in self.failures],
            "finished": [str(path) for path in self.finished],
            "ending": self.ending.value,
        }


def segment_stream(
    segmenter: Segment,
    source: Source,
    sinks: Sequence[Sink],
    *,
    smoothing: Smoothing | None = None,
    window: Window | None = None,
    stop: threading.Event | None = None,
    on_frame: OnFrame | None = None,
) -> FlowReport:
    """Segments all frames of a source into sinks, with reading, segmenting and writing overlapping.

    Closes the source, the sinks and the window, however it ends: a video holds what was written so far. Ctrl-C and
    SIGTERM end it after the frame at hand, if this is the main thread; a second one ends it at once. A frame that could
    not be read is reported and left out. Any other error, in whatever stage, ends the flow after the frames before it.

    Args:
        segmenter: Called by one thread, not the caller's.
        source: Where frames come from.
        sinks: Where results go, in this order.
        smoothing: Applied to class maps before they are written.
        window: Shows each frame after it is written.
        stop: Ends the flow when set.
        on_frame: Told of each frame.

    Raises:
        AfformerError: What source, segmenter or a sink raised.
    """
    report, halt = FlowReport(), Halt(stop)
    segment = _Segmenting(segmenter, source, report)
    results: Pipe[_Result] = Pipe(1 if source.live else segment.depth, halt, functools.partial(_idle, window, halt))
    threads = _stages(segment, results, halt)
    output = _Output(source, sinks, smoothing, window, on_frame, segment.free, report)
    start = time.perf_counter()
    with contextlib.ExitStack() as ending, halt.on_signals():
        ending.callback(_settle, report, source, start)
        for sink in reversed(sinks):
            ending.callback(_finish, sink, report)
        if window:
            ending.callback(window.close)
        ending.callback(_join, threads, source, halt)
        for thread in threads:
            thread.start()
        report.ending = _write_all(output, results, halt)
    return report


_Result = tuple[Frame, ClassMap | None]
"""A frame, and its class map unless it could not be read."""
_FreeMaps = collections.deque[ClassMap]
"""Class maps that have been written and may be overwritten."""


class _Segmenting:
    """The segmenter's stage: frames in groups, of one where the segmenter takes no more or the source is live."""

    def __init__(self, segmenter: Segment, source: Source, report: FlowReport) -> None:
        self.source, self.report = source, report
        self._one, self._many = segmenter, None
        self._batch = 1
        if isinstance(segmenter, BatchSegment) and not source.live:
            self._many, self._batch = segmenter.segment_batch, segmenter.batch
        self.depth = max(_DEPTH, self._batch)
        """Frames that a queue must hold so that nobody waits while a group is segmented."""
        self.free: _FreeMaps = collections.deque(maxlen=4 * self.depth)

    def results(self, frames: Iterable[Frame]) -> Generator[_Result, None, None]:
        """Each frame with its class map."""
        for group in groups(frames, self._batch):
            self.report.worst_age_s = max(self.report.worst_age_s, *map(self.source.age_s, group))
            start = time.perf_counter()
            classmaps = iter(self._segment([f.content for f in group if not isinstance(f.content, ImageError)]))
            self.report.stages.segment += time.perf_counter() - start
            for frame in group:
                yield frame, None if isinstance(frame.content, ImageError) else next(classmaps)

    def _segment(self, images: list[RGBImage]) -> list[ClassMap]:
        free = [self._free_map(image) for image in images]
        if self._many:
            return self._many(images, out=free)
        return [self._one(image, out=out) for image, out in zip(images, free, strict=True)]

    def _free_map(self, image: RGBImage) -> ClassMap | None:
        out = self.free.pop() if self.free else None
        return None if out is None or out.shape != image.shape[:2] else out


def _stages(segment: _Segmenting, results: Pipe[_Result], halt: Halt) -> list[threading.Thread]:
    """The threads before the caller's, not started yet."""
    threads = []
    frames: Iterable[Frame] = _read(segment.source, segment.report)
    if not segment.source.live:
        ahead = Pipe[Frame](segment.depth, halt)
        threads.append(threading.Thread(target=ahead.feed, args=(frames,), name="reader", daemon=True))
        frames = ahead
    segmented = segment.results(frames)
    threads.append(threading.Thread(target=results.feed, args=(segmented,), name="segmenter", daemon=True))
    return threads


def _read(source: Source, report: FlowReport) -> Generator[Frame, None, None]:
    frames = iter(source)
    while True:
        start = time.perf_counter()
        frame = next(frames, None)
        report.stages.read += time.perf_counter() - start
        if frame is None:
            return
        yield frame


@dataclasses.dataclass(frozen=True)
class _Output:
    """The caller's stage."""

    source: Source
    sinks: Sequence[Sink]
    smoothing: Smoothing | None
    window: Window | None
    on_frame: OnFrame | None
    free: _FreeMaps
    report: FlowReport

    def take(self, frame: Frame, classmap: ClassMap, halt: Halt) -> bool:
        """Writes and shows one frame; whether to go on."""
        start = time.perf_counter()
        shown = self.smoothing(classmap) if self.smoothing else classmap
        files = [path for sink in self.sinks for path in sink.write(frame, shown)]
        self.report.worst_delay_s = max(self.report.worst_delay_s, self.source.age_s(frame))
        going = self.window is None or self.window.show(frame, shown, halt)
        self.report.stages.write += time.perf_counter() - start
        self.report.frames += 1
        if self.on_frame:
            self.on_frame(frame, shown, files)
        self.source.recycle(frame)
        self.free.append(classmap)
        return going


def _write_all(output: _Output, results: Pipe[_Result], halt: Halt) -> Ending:
    try:
        for frame, classmap in results:
            if classmap is None:
                output.report.failures.append(frame)
            elif not output.take(frame, classmap, halt):
                return Ending.QUIT
    except Halted:
        if halt.interrupted:
            return Ending.INTERRUPTED
        return Ending.QUIT if halt.quit else Ending.STOPPED
    return Ending.SOURCE


def _idle(window: Window | None, halt: Halt) -> None:
    halt.quit = window is not None and not window.idle()


def _join(threads: Sequence[threading.Thread], source: Source, halt: Halt) -> None:
    """Ends the other stages. The segmenter is waited for, as its model may be closed next."""
    halt.done = True
    source.stop()
    for thread in reversed(threads):
        if thread.ident is None:
            continue
        thread.join(_STUCK_S if thread is not threads[-1] else None)
        if thread.is_alive():
            log.warning("%s: does not answer and is left alone", thread.name)


def _finish(sink: Sink, report: FlowReport) -> None:
    report.finished += sink.close()


def _settle(report: FlowReport, source: Source, start: float) -> None:
    source.close()
    report.dropped = source.dropped
    report.seconds = time.perf_counter() - start
