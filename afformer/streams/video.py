"""Video files: every frame in, annotated video out. Codecs are those of OpenCV's own wheel."""

from __future__ import annotations

import collections
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from afformer.errors import ImageError, OutputError
from afformer.files import check_writable
from afformer.images import ClassMap, RGBImage, quiet_opencv
from afformer.runtime.render import Renderer
from afformer.streams.sinks import Sink
from afformer.streams.sources import Frame, Source

# FFmpeg mumbles about damaged data; the errors here say it once. Read by OpenCV when it opens its first video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

BGRImage = npt.NDArray[np.uint8]
"""`(H, W, 3)` uint8, BGR: what OpenCV reads and writes."""

DEFAULT_FPS = 25.0
"""For sources that have no frame rate, such as numbered pictures."""
PLAUSIBLE_FPS = 300
"""Above this a "frame rate" is the resolution of the time stamps of a video without a constant one."""
_COUNTED = {".mp4", ".mov", ".m4v", ".avi", ".3gp"}
"""Containers that store how many frames they hold; others are guessed at."""
_STDIN = "pipe:0"
_BARE = (cv2.VideoWriter.fourcc(*"MJPG"), cv2.VideoWriter.fourcc(*"MPNG"))
_BARE_FPS = 25
"""What FFmpeg invents for pictures one after the other, which have no container and so neither rate nor length."""
_CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
_LONGEST_GAP_S = 2.0
"""A paced video shows a picture for so long at most: an hour without a stream does not become an hour of it."""


class Capture(Protocol):
    """What a `cv2.VideoCapture` and a simulated camera have in common."""

    def read(self, image: Any = None, /) -> tuple[bool, Any]:
        """Waits for the next picture: whether there was one, and `(H, W, 3)` uint8 BGR, in `image` if that fits."""
        ...

    def get(self, prop: int, /) -> float:
        """A property, such as `cv2.CAP_PROP_FPS`; 0 if it is not known."""
        ...

    def release(self) -> None:
        """Lets go of the camera."""
        ...


class VideoFile(Source):
    """All frames of a video, in order. Can be read several times, unless it is stdin.

    A video that ends before the number of frames that its container promises gives a last frame with an error. Bare
    pictures one after the other have neither a rate nor time stamps.

    Args:
        path: The file, or the URL of one.
        name: What outputs are named after; the file's name without its extension if left out.

    Raises:
        ImageError: There is no such file, or no video in it.
    """

    def __init__(self, path: Path | str, name: str | None = None) -> None:
        self._path = path
        self._what = "stdin" if path == _STDIN else str(path)
        self.name = name or Path(path).stem
        self.paths = (path,) if isinstance(path, Path) else ()
        self._opened: cv2.VideoCapture | None = self._open()
        self._bare, self.fps = is_bare(self._opened), rate_of(self._opened)
        count = self._opened.get(cv2.CAP_PROP_FRAME_COUNT)
        counted = self._what != "stdin" and Path(self._what).suffix.lower() in _COUNTED
        self.length = int(count) if counted and count > 0 else None
        self._pool = PicturePool()

    def __iter__(self) -> Iterator[Frame]:
        capture, self._opened = self._opened or self._open(), None
        picture: BGRImage | None = None
        index, start = 0, 0.0
        try:
            while (picture := read_picture(capture, picture)) is not None:
                at = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                start = start if index else at
                yield self._frame(index, self._pool.rgb(picture), None if self._bare else at - start)
                index += 1
        finally:
            capture.release()
        if not index or (self.length and index < self.length):
            yield self._frame(index, ImageError(self._problem(index)), None)

    def recycle(self, frame: Frame) -> None:  # noqa: D102 - see Source
        self._pool.give_back(frame)

    def close(self) -> None:  # noqa: D102 - see Source
        if self._opened:
            self._opened.release()
            self._opened = None

    def _frame(self, index: int, content: RGBImage | ImageError, time_s: float | None) -> Frame:
        return Frame(index, f"{self.name}_{index:06d}", content, self.paths[0] if self.paths else None, time_s)

    def _open(self) -> cv2.VideoCapture:
        with quiet_opencv():
            capture = cv2.VideoCapture(str(self._path))
        if not capture.isOpened():
            capture.release()
            raise ImageError(f"{self._what}: {self._unreadable()}")
        return capture

    def _problem(self, frames: int) -> str:
        if frames:
            return f"{self._what}: ends after {frames} of {self.length} frames; it is truncated or damaged there"
        return f"{self._what}: {self._unreadable()}"

    def _unreadable(self) -> str:
        if self._what == "stdin":
            return (
                "holds no video or pictures that can be read from a pipe; expected JPEG or PNG pictures one after the "
                "other, Matroska, AVI or MPEG-TS"
            )
        return "is no video that OpenCV can read, or a damaged one; check the path and convert it to H.264 in MP4"


def open_stdin() -> VideoFile:
    """The video or the pictures that are piped into this process.

    `ffmpeg -i ANYTHING -f image2pipe -c:v mjpeg - | ...`, or `cat *.jpg | ...`: JPEG or PNG pictures one after the
    other, or a video whose container can be piped (Matroska, AVI, MPEG-TS). No frame is dropped: the writer waits.

    Raises:
        ImageError: There is nothing of that kind on stdin.
    """
    return VideoFile(_STDIN, "stdin")


class PicturePool:
    """RGB buffers that are used again once their frames are given back. For one reader; `give_back` from any thread."""

    def __init__(self) -> None:
        self._free: collections.deque[RGBImage] = collections.deque(maxlen=64)

    def rgb(self, picture: BGRImage) -> RGBImage:
        """A picture in RGB, in a buffer of its own."""
        buffer = np.empty_like(picture)
        while self._free:
            candidate = self._free.pop()
            if candidate.shape == picture.shape:
                buffer = candidate
                break
        cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=buffer)
        return buffer

    def give_back(self, frame: Frame) -> None:
        """Takes back the buffer of a frame that nobody looks at any more."""
        if not isinstance(frame.content, ImageError):
            self._free.append(frame.content)


class VideoSink(Sink):
    """An annotated video: the overlay of every frame, at the size of the first one.

    Written beside the target and put in its place by `close`, which checks that it can be read. Codecs take even sizes
    only: an odd last row or column is left out.

    Args:
        path: `.mp4`, `.m4v`, `.mov`, `.mkv` (MPEG-4) or `.avi` (Motion JPEG).
        renderer: Draws with the model's palette.
        fps: Frames a second of the video.
        paced: Repeat pictures where the time stamps of the frames leave gaps, up to two seconds, so that the video of a
            camera runs as fast as the world did. Otherwise every frame is written once.
        legend: Draw a legend into the corner.

    Raises:
        OutputError: The ending is of no known format, or nothing can be written there.
    """

    def __init__(
        self, path: Path, renderer: Renderer, fps: float = DEFAULT_FPS, *, paced: bool = False, legend: bool = False
    ) -> None:
        if path.suffix.lower() not in _CODECS:
            raise OutputError(
                f"{path}: '{path.suffix}' is no video format that can be written; use {', '.join(_CODECS)}"
            )
        if not 0 < fps <= PLAUSIBLE_FPS:
            raise OutputError(f"{path}: a video must have between 0 and {PLAUSIBLE_FPS} frames a second, got {fps:g}")
        check_writable(path)
        self.path = path
        self.fps = fps
        self.frames = 0
        """Pictures written so far, repeated ones included."""
        self._renderer = renderer
        self._legend = legend
        self._pace = Pace(fps) if paced else None
        self._temporary = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
        self._writer: cv2.VideoWriter | None = None
        self._picture: BGRImage = np.empty((0, 0, 3), np.uint8)

    def write(self, frame: Frame, classmap: ClassMap) -> list[Path]:  # noqa: D102 - see Sink
        if isinstance(frame.content, ImageError):
            raise ValueError(f"frame {frame.index} ({frame.name}) holds an error and no picture; report it instead")
        if self._writer is None:
            self._start(frame.content)
        elif frame.content.shape != self._picture.shape:
            raise OutputError(
                f"{self.path}: a video has one size, but {frame.name} is {_size(frame.content)} after frames of "
                f"{_size(self._picture)}; write overlays instead"
            )
        for _ in range(self._pace.repeats(frame.time_s) if self._pace else 0):
            self._append()
        drawn = self._renderer.overlay(frame.content, classmap, follow=True)
        if self._legend:
            drawn = inset(drawn, self._renderer.small_legend(classmap, drawn.shape[0]))
        cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR, dst=self._picture)
        self._append()
        return []

    def close(self) -> list[Path]:
        """Finishes the video: of one frame or more, it is valid whatever came after.

        Raises:
            OutputError: It cannot be finished; the disk is full, for instance.
        """
        if self._writer is None:
            return []
        self._writer.release()
        self._writer = None
        try:
            self._check()
            self._temporary.replace(self.path)
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror}); choose another place") from error
        finally:
            self._temporary.unlink(missing_ok=True)
        return [self.path]

    def _start(self, image: RGBImage) -> None:
        height, width = image.shape[:2]
        if min(height, width) < 2:
            raise OutputError(f"{self.path}: a video needs frames of 2x2 pixels or more, got {_size(image)}")
        codec = cv2.VideoWriter.fourcc(*_CODECS[self.path.suffix.lower()])
        with quiet_opencv():
            writer = cv2.VideoWriter(str(self._temporary), codec, self.fps, (width, height))
        if not writer.isOpened():
            self._temporary.unlink(missing_ok=True)
            raise OutputError(
                f"{self.path}: OpenCV cannot write a {_size(image)} video of {self.fps:g} frames a second; try .avi"
            )
        self._writer, self._picture = writer, np.empty_like(image)

    def _append(self) -> None:
        assert self._writer is not None, "started by write"
        self._writer.write(self._picture)
        self.frames += 1

    def _check(self) -> None:
        """OpenCV says nothing when the disk is full; a video that lacks frames, or its end, does."""
        with quiet_opencv():
            capture = cv2.VideoCapture(str(self._temporary))
        counted = capture.get(cv2.CAP_PROP_FRAME_COUNT) if capture.isOpened() else 0
        capture.release()
        if counted < self.frames * 0.99 - 1:  # some containers round their length
            raise OutputError(
                f"{self.path}: only {max(0, int(counted))} of {self.frames} frames could be written; is the disk full?"
            )


class Pace:
    """How often the last picture must be repeated for a video to keep up with its frames' time stamps.

    Args:
        fps: Frames a second of the video.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._written = 0
        self._start_s = 0.0

    def repeats(self, time_s: float | None) -> int:
        """Pictures that are missing before the frame of this time stamp (seconds), which is then taken as written."""
        time_s = time_s or 0.0
        if self._written == 0:
            self._start_s = time_s
        missing = round((time_s - self._start_s) * self._fps) - self._written
        longest = int(_LONGEST_GAP_S * self._fps)
        if missing > longest:
            self._start_s += (missing - longest) / self._fps
        missing = min(max(0, missing), longest)
        self._written += missing + 1
        return missing


def is_bare(capture: Capture) -> bool:
    """Whether this is pictures one after the other, which have neither a rate nor time stamps; FFmpeg invents them."""
    keys = cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FOURCC
    rate, count, codec = (capture.get(key) for key in keys)
    return codec in _BARE and rate == _BARE_FPS and count < 0


def rate_of(capture: Capture, *, clocked: bool = False) -> float | None:
    """Frames a second; None if nobody knows.

    Args:
        capture: The video, stream or camera.
        clocked: Whether it has a rate of its own even where it looks like bare pictures: cameras, and Motion JPEG over
            RTSP.
    """
    rate = capture.get(cv2.CAP_PROP_FPS)
    return rate if 0 < rate <= PLAUSIBLE_FPS and (clocked or not is_bare(capture)) else None


def read_picture(capture: Capture, buffer: BGRImage | None) -> BGRImage | None:
    """The next picture, in `buffer` if it has the right size; None at the end."""
    done, picture = capture.read(buffer)
    return np.asarray(picture, np.uint8) if done else None


def inset(picture: RGBImage, panel: RGBImage) -> RGBImage:
    """Draws a panel over the picture's top left corner, made smaller where it would cover more than half the width."""
    height, width = picture.shape[:2]
    scale = min(1.0, width / 2 / panel.shape[1], height / panel.shape[0])
    if scale < 1:
        size = max(1, int(panel.shape[1] * scale)), max(1, int(panel.shape[0] * scale))
        panel = np.asarray(cv2.resize(panel, size, interpolation=cv2.INTER_AREA), np.uint8)
    picture[: panel.shape[0], : panel.shape[1]] = panel
    return picture


def _size(image: RGBImage) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
