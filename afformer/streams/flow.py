"""Reading, segmenting and writing at the same time: three stages, two short queues, every frame in order.

    file:  [reader thread] -> queue -> [segmenter thread] -> queue -> [caller: smooth, draw, write, show]
    live:  [grabber thread, newest frame only] -> [segmenter thread] -> queue -> [caller]

A live frame never waits in a queue before it is segmented, where it would grow old. The caller's thread writes, since
windows belong to the main thread. If the model takes a batch, a file's frames are segmented in groups; live ones are
segmented one by one, since waiting for more of them would delay them.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import logging
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from afformer.errors import ImageError
from afformer.images import ClassMap, RGBImage
from afformer.runtime.batches import BatchSegmenter, groups
from afformer.streams.flow_report import Ending, FlowReport
from afformer.streams.frames import Frame, FrameSource
from afformer.streams.queues import FlowStopped, StageQueue, StopRequest
from afformer.streams.sinks import Sink
from afformer.streams.smoothing import Smoothing
from afformer.streams.window import Window

log = logging.getLogger(__name__)

OnFrame = Callable[[Frame, ClassMap, list[Path]], object]
"""Called after a frame is written, with its class map and files; both arrays are valid during the call only."""
Clock = Callable[[], float]
"""Returns seconds."""

_DEPTH = 2
_STUCK_S = 2.0
"""Seconds to wait for a thread that hangs in a dead pipe or stream."""


class PictureSegmenter(Protocol):
    """A `Segmenter`, or anything like it. One that is a `BatchSegmenter` too is called with groups of frames."""

    def __call__(self, image: RGBImage, /, *, out: ClassMap | None = None) -> ClassMap:
        """From `(H, W, 3)` uint8 RGB to `(H, W)` class ids, in `out` if given, else in a new array."""
        ...


def segment_stream(
    segmenter: PictureSegmenter,
    source: FrameSource,
    sinks: Sequence[Sink],
    *,
    smoothing: Smoothing | None = None,
    window: Window | None = None,
    stop: threading.Event | None = None,
    on_frame: OnFrame | None = None,
    clock: Clock = time.perf_counter,
) -> FlowReport:
    """Segments all frames of a source into sinks, with reading, segmenting and writing overlapping.

    Closes the source, the sinks and the window, however it ends: a video holds what was written so far. In the main
    thread, Ctrl-C and SIGTERM end it after the current frame, and a second one ends it at once. A frame that could not
    be read is reported and left out. Any other error, in whatever stage, ends the flow after the frames before it.

    Args:
        segmenter: Called by one thread, not the caller's.
        source: Where frames come from.
        sinks: Where results go, in this order.
        smoothing: Applied to class maps before they are written.
        window: Shows each frame after it is written.
        stop: Ends the flow when set.
        on_frame: Called after each frame.
        clock: Measures the report's times; for simulations.

    Raises:
        AfformerError: What the source, the segmenter or a sink raised.
    """
    report, request = FlowReport(), StopRequest(stop)
    stage = _SegmentStage(segmenter, source, report, clock)
    idle = functools.partial(_keep_alive, window, request)
    results: StageQueue[_Result] = StageQueue(1 if source.live else stage.depth, request, idle)
    threads = _threads(stage, results, request)
    output = _WriteStage(source, sinks, smoothing, window, on_frame, stage.free, report, clock)
    start = clock()
    with contextlib.ExitStack() as ending, request.on_signals():
        ending.callback(_complete, report, source, lambda: clock() - start)
        for sink in reversed(sinks):
            ending.callback(_finish, sink, report)
        if window:
            ending.callback(window.close)
        ending.callback(_join, threads, source, request)
        for thread in threads:
            thread.start()
        report.ending = _write_all(output, results, request)
    return report


_Result = tuple[Frame, ClassMap | None]
"""A frame, and its class map unless it could not be read."""
_FreeMaps = collections.deque[ClassMap]
"""Class maps that have been written and may be overwritten."""


class _SegmentStage:
    """The segmenter's thread: frames in groups, or one by one if it takes no groups or the source is live."""

    def __init__(self, segmenter: PictureSegmenter, source: FrameSource, report: FlowReport, clock: Clock) -> None:
        self.source, self.report, self.clock = source, report, clock
        self._one, self._many = segmenter, None
        self._batch = 1
        if isinstance(segmenter, BatchSegmenter) and not source.live:
            self._many, self._batch = segmenter.segment_batch, segmenter.batch
        self.depth = max(_DEPTH, self._batch)
        """Frames that a queue must hold so that no stage waits while a group is segmented."""
        self.free: _FreeMaps = collections.deque(maxlen=4 * self.depth)

    def read(self) -> Generator[Frame, None, None]:
        """The source's frames, with the time that they take."""
        frames = iter(self.source)
        while True:
            start = self.clock()
            frame = next(frames, None)
            self.report.stages.read += self.clock() - start
            if frame is None:
                return
            yield frame

    def results(self, frames: Iterable[Frame]) -> Generator[_Result, None, None]:
        """Each frame with its class map."""
        for group in groups(frames, self._batch):
            self.report.worst_age_s = max(self.report.worst_age_s, *map(self.source.age_s, group))
            start = self.clock()
            classmaps = iter(self._segment([f.content for f in group if not isinstance(f.content, ImageError)]))
            self.report.stages.segment += self.clock() - start
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


def _threads(stage: _SegmentStage, results: StageQueue[_Result], request: StopRequest) -> list[threading.Thread]:
    """The reader's, unless the source is live, and the segmenter's; not started yet."""
    threads = []
    frames: Iterable[Frame] = stage.read()
    if not stage.source.live:
        ahead = StageQueue[Frame](stage.depth, request)
        threads.append(threading.Thread(target=ahead.feed, args=(frames,), name="reader", daemon=True))
        frames = ahead
    segmented = stage.results(frames)
    threads.append(threading.Thread(target=results.feed, args=(segmented,), name="segmenter", daemon=True))
    return threads


@dataclasses.dataclass(frozen=True)
class _WriteStage:
    """The caller's thread."""

    source: FrameSource
    sinks: Sequence[Sink]
    smoothing: Smoothing | None
    window: Window | None
    on_frame: OnFrame | None
    free: _FreeMaps
    report: FlowReport
    clock: Clock

    def write(self, frame: Frame, classmap: ClassMap, request: StopRequest) -> bool:
        """Writes and shows one frame; returns whether to go on."""
        start = self.clock()
        shown = self.smoothing(classmap) if self.smoothing else classmap
        files = [path for sink in self.sinks for path in sink.write(frame, shown)]
        self.report.worst_delay_s = max(self.report.worst_delay_s, self.source.age_s(frame))
        going = self.window is None or self.window.show(frame, shown, request.is_set)
        self.report.stages.write += self.clock() - start
        self.report.frames += 1
        if self.on_frame:
            self.on_frame(frame, shown, files)
        self.source.recycle(frame)
        self.free.append(classmap)
        return going


def _write_all(stage: _WriteStage, results: StageQueue[_Result], request: StopRequest) -> Ending:
    try:
        for frame, classmap in results:
            if classmap is None:
                stage.report.failures.append(frame)
            elif not stage.write(frame, classmap, request):
                return Ending.QUIT
    except FlowStopped:
        if request.signal is not None:
            return Ending.TERMINATED if request.signal == signal.SIGTERM else Ending.INTERRUPTED
        return Ending.QUIT if request.quit else Ending.STOPPED
    return Ending.SOURCE


def _keep_alive(window: Window | None, request: StopRequest) -> None:
    request.quit = window is not None and not window.idle()


def _join(threads: Sequence[threading.Thread], source: FrameSource, request: StopRequest) -> None:
    """Ends the other stages. The segmenter is waited for without limit, as its model may be closed next."""
    request.done = True
    source.stop()
    for thread in reversed(threads):
        if thread.ident is None:
            continue
        thread.join(_STUCK_S if thread is not threads[-1] else None)
        if thread.is_alive():
            log.warning("%s: does not respond and is abandoned", thread.name)


def _finish(sink: Sink, report: FlowReport) -> None:
    report.finished += sink.close()


def _complete(report: FlowReport, source: FrameSource, seconds: Clock) -> None:
    source.close()
    report.dropped = source.dropped
    report.seconds = seconds()
