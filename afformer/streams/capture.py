"""Shared by cameras and streams: opening and reading them with OpenCV, and their frame rates.

OpenCV knows the cameras of every system by number, which PyAV does not. Streams use it, too: they need neither
exact times nor sound, and users set how FFmpeg opens them with `OPENCV_FFMPEG_CAPTURE_OPTIONS`.
"""

from __future__ import annotations

import functools
import os
import threading
from typing import Any, Protocol

import cv2
import numpy as np

from afformer.environment import set_meanwhile
from afformer.errors import ImageError
from afformer.opencv import quiet_opencv
from afformer.streams.buffers import BGRImage
from afformer.streams.video_reading import PLAUSIBLE_FPS

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
    """Pretends to open a video: OpenCV reads the log level from the environment at the first one of a process."""
    if _LOG_LEVEL in os.environ:
        return
    with set_meanwhile(_LOG_LEVEL, "-8"), quiet_opencv():
        cv2.VideoCapture(os.devnull, cv2.CAP_FFMPEG).release()


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
