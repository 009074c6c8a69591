"""What videos, cameras and streams share: opening and reading them with OpenCV, frame rates, reused buffers."""

from __future__ import annotations

import collections
import functools
import os
import threading
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from afformer.errors import ImageError
from afformer.images import RGBImage
from afformer.opencv import quiet_opencv
from afformer.streams.frames import Frame

BGRImage = npt.NDArray[np.uint8]
"""`(H, W, 3)` uint8, BGR: what OpenCV reads and writes."""

PLAUSIBLE_FPS = 300
"""A higher "frame rate" is the resolution of the time stamps of a video without a constant rate."""
_LOG_LEVEL = "OPENCV_FFMPEG_LOGLEVEL"
_BARE = (cv2.VideoWriter.fourcc(*"MJPG"), cv2.VideoWriter.fourcc(*"MPNG"))
_BARE_FPS = 25
"""What FFmpeg makes up for concatenated pictures, which have no container and so neither rate nor length."""
_ffmpeg_lock = threading.Lock()


class Capture(Protocol):
    """The part of `cv2.VideoCapture` that is used here."""

    def read(self, image: Any = None, /) -> tuple[bool, Any]:
        """Waits for the next picture: whether there was one, and `(H, W, 3)` uint8 BGR, in `image` if that fits."""
        ...

    def get(self, prop: int, /) -> float:
        """A property, such as `cv2.CAP_PROP_FPS`; 0 if it is not known."""
        ...

    def release(self) -> None:
        """Frees the camera or file."""
        ...


def open_capture(*arguments: Any, problem: str) -> cv2.VideoCapture:
    """A `cv2.VideoCapture` of the arguments.

    Raises:
        ImageError: It cannot be opened; `problem` is the message.
    """
    quiet_ffmpeg()
    with quiet_opencv():
        capture = cv2.VideoCapture(*arguments)
    if not capture.isOpened():
        capture.release()
        raise ImageError(problem)
    return capture


def quiet_ffmpeg() -> None:
    """Keeps FFmpeg from writing to stderr about damaged videos, which are reported as errors."""
    with _ffmpeg_lock:
        _start_ffmpeg()


@functools.cache
def _start_ffmpeg() -> None:
    """Opens no video, but the process's first: that is when OpenCV reads the log level from the environment."""
    if _LOG_LEVEL in os.environ:
        return
    os.environ[_LOG_LEVEL] = "-8"
    try:
        with quiet_opencv():
            cv2.VideoCapture(os.devnull, cv2.CAP_FFMPEG).release()
    finally:
        del os.environ[_LOG_LEVEL]


def is_bare(capture: Capture) -> bool:
    """Whether this is concatenated pictures. They have neither a rate nor time stamps; FFmpeg makes them up."""
    keys = cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FOURCC
    rate, count, codec = (capture.get(key) for key in keys)
    return codec in _BARE and rate == _BARE_FPS and count < 0


def rate_of(capture: Capture, *, clocked: bool = False) -> float | None:
    """Frames per second; None if unknown.

    Args:
        capture: The video, stream or camera.
        clocked: Whether it has a rate of its own even if it looks like concatenated pictures: cameras, and Motion JPEG
            over RTSP.
    """
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 0 < rate <= PLAUSIBLE_FPS and (clocked or not is_bare(capture)) else None


def read_picture(capture: Capture, buffer: BGRImage | None) -> BGRImage | None:
    """The next picture, in `buffer` if its size fits; None at the end."""
    done, picture = capture.read(buffer)
    return np.asarray(picture, np.uint8) if done else None


class FrameBuffers:
    """RGB buffers that are reused once their frames are returned. For one reader; `give_back` from any thread."""

    def __init__(self) -> None:
        self._free: collections.deque[RGBImage] = collections.deque(maxlen=64)

    def rgb(self, picture: BGRImage) -> RGBImage:
        """The picture in RGB, in a buffer that nobody else uses."""
        buffer = self._free.pop() if self._free else None
        if buffer is None or buffer.shape != picture.shape:
            buffer = np.empty_like(picture)
        cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=buffer)
        return buffer

    def give_back(self, frame: Frame) -> None:
        """Takes back the buffer of a frame that is no longer used."""
        if not isinstance(frame.content, ImageError):
            self._free.append(frame.content)
