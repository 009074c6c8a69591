"""Cameras and streams: only the newest frame, and a new attempt when the connection breaks.

A thread does nothing but fetch frames. It keeps the newest one for the next request; frames that nobody asked for in
time are dropped and counted. So the delay is that of one frame, however slow the model is.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

from afformer.errors import ImageError
from afformer.opencv import quiet_opencv
from afformer.streams.addresses import without_secrets
from afformer.streams.buffers import BGRImage, FrameBuffers
from afformer.streams.capture import Capture, open_capture, rate_of, read_picture
from afformer.streams.frames import Frame, FrameSource

log = logging.getLogger(__name__)

_TIMEOUT_MS = 5000
"""A stream that gives nothing for this long counts as broken."""
_JOIN_S = 2.0


@dataclasses.dataclass(frozen=True)
class Retry:
    """When to reconnect after a stream has broken.

    Attributes:
        first_s: Seconds before the first attempt.
        factor: How many times longer each pause is than the one before.
        longest_s: Upper limit of the pauses, in seconds.
        attempts: Attempts in a row after which to give up; None means never.
    """

    first_s: float = 1.0
    factor: float = 2.0
    longest_s: float = 30.0
    attempts: int | None = None

    def pauses(self) -> Iterator[float]:
        """Seconds before each attempt."""
        pause, number = self.first_s, 0
        while self.attempts is None or number < self.attempts:
            yield pause
            pause, number = min(self.longest_s, pause * self.factor), number + 1


@dataclasses.dataclass
class _Captured:
    pixels: BGRImage
    index: int
    time_s: float
    captured_at: float


class LiveSource(FrameSource):
    """The newest frame of a camera or stream.

    A frame's `index` is its number among all captured frames, so gaps are dropped ones. Connects at once, and starts to
    capture when the first frame is asked for. To be iterated once.

    Args:
        connect: Opens the camera or stream; raises `ImageError` if it cannot.
        title: What messages call it: the URL, or `camera 0`.
        clocked: Whether it has a frame rate of its own; pictures over HTTP may come without one.
        clock: Returns seconds; for simulations.
        pause: Waits for the given seconds, or until `stop`; for simulations.

    Raises:
        ImageError: It cannot be opened. During the iteration: it broke, and all attempts to reconnect failed.
    """

    live = True

    def __init__(
        self,
        connect: Callable[[], Capture],
        title: str,
        name: str = "live",
        *,
        retry: Retry = Retry(),
        clocked: bool = True,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.name = name
        self.captured = 0
        """Frames that have come in so far."""
        self.reconnects = 0
        """How often the stream broke and came back."""
        self._connect, self._title, self._retry, self._clock = connect, title, retry, clock
        self._stopped = threading.Event()
        self._pause = pause or self._stopped.wait
        self._buffers = FrameBuffers()
        self._change = threading.Condition()
        self._newest: _Captured | None = None
        self._spares: collections.deque[BGRImage] = collections.deque(maxlen=3)
        self._error: Exception | None = None
        self._ended = False
        self._start_s: float | None = None
        self._capture: Capture | None = connect()
        self.fps = rate_of(self._capture, clocked=clocked)
        self._thread = threading.Thread(target=self._grab, name=f"grabber of {title}", daemon=True)

    def __iter__(self) -> Iterator[Frame]:
        self._thread.start()
        while (picture := self._next()) is not None:
            content = self._buffers.rgb(picture.pixels)
            self._spares.append(picture.pixels)
            name = f"{self.name}_{picture.index:06d}"
            yield Frame(picture.index, name, content, time_s=picture.time_s, captured_at=picture.captured_at)
        if self._error:
            raise self._error

    def age_s(self, frame: Frame) -> float:  # noqa: D102 - see FrameSource
        return self._clock() - (self._start_s or 0.0) - (frame.time_s or 0.0)

    def recycle(self, frame: Frame) -> None:  # noqa: D102 - see FrameSource
        self._buffers.give_back(frame)

    def stop(self) -> None:  # noqa: D102 - see FrameSource
        self._stopped.set()
        with self._change:
            self._change.notify_all()

    def close(self) -> None:
        """Stops, and waits up to two seconds for the camera to be free; one that hangs is left to its thread."""
        self.stop()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)
        elif self._capture:
            self._capture.release()
            self._capture = None

    def _next(self) -> _Captured | None:
        """Waits for a newer picture than the last one; None at the end."""
        with self._change:
            self._change.wait_for(lambda: self._newest or self._ended or self._stopped.is_set())
            picture, self._newest = self._newest, None
            return None if self._stopped.is_set() else picture

    def _grab(self) -> None:
        """The thread: fetches pictures and reconnects when none come, until it is stopped or gives up."""
        pauses, broken = self._retry.pauses(), False
        with quiet_opencv(), self._ending():
            while not self._stopped.is_set():
                if self._capture is None:
                    self._capture = self._reconnect(pauses)
                    continue
                pixels = read_picture(self._capture, self._spares.pop() if self._spares else None)
                if pixels is None:
                    self._release()
                    broken = True
                    continue
                if broken:
                    pauses, broken = self._retry.pauses(), False
                    self.reconnects += 1
                    log.warning("%s: is back", self._title)
                self._put(pixels)

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # raised by the iteration
            self._error = error
        finally:
            self._release()
            with self._change:
                self._ended = True
                self._change.notify_all()

    def _put(self, pixels: BGRImage) -> None:
        now = self._clock()
        self._start_s = now if self._start_s is None else self._start_s
        picture = _Captured(pixels, self.captured, now - self._start_s, time.time())
        with self._change:
            if self._newest:
                self.dropped += 1
                self._spares.append(self._newest.pixels)
            self.captured += 1
            self._newest = picture
            self._change.notify_all()

    def _reconnect(self, pauses: Iterator[float]) -> Capture | None:
        pause = next(pauses, None)
        if pause is None:
            raise ImageError(
                f"{self._title}: gives no more pictures, and {self._retry.attempts} attempts to reach it again failed; "
                "check the camera and the network"
            )
        log.warning("%s: gives no pictures; trying again in %g s", self._title, pause)
        self._pause(pause)
        if self._stopped.is_set():
            return None
        try:
            return self._connect()
        except ImageError as error:
            log.info("%s", error)
            return None

    def _release(self) -> None:
        if self._capture:
            self._capture.release()
            self._capture = None


def open_camera(device: int | str, retry: Retry = Retry()) -> LiveSource:
    """Opens a camera by its number, or by its device file (`/dev/video0`).

    Raises:
        ImageError: It is not there, or another program uses it.
    """
    title = f"camera {device}" if isinstance(device, int) else device
    arguments = [device] if isinstance(device, int) else [device, cv2.CAP_V4L2]

    def connect() -> Capture:
        problem = f"{title}: is not there, or another program uses it; {_device_files()}"
        return open_capture(*arguments, problem=problem)

    return LiveSource(connect, title, "camera", retry=retry)


def open_stream(url: str, retry: Retry = Retry()) -> LiveSource:
    """Opens a stream: RTSP, RTMP, HTTP (Motion JPEG, HLS), or whatever else FFmpeg reads.

    Raises:
        ImageError: It cannot be reached, or holds no video.
    """
    title = without_secrets(url)
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]

    def connect() -> Capture:
        problem = f"{title}: cannot be reached, or is not a video stream; check the address and the network"
        return open_capture(url, cv2.CAP_FFMPEG, timeouts, problem=problem)

    return LiveSource(connect, title, "stream", retry=retry, clocked=not url.lower().startswith("http"))


def _device_files() -> str:
    found = sorted(str(path) for path in Path("/dev").glob("video*"))
    return f"device files here: {', '.join(found)}" if found else "no /dev/video* is here"
