"""An annotated video as a sink."""

from __future__ import annotations

import contextlib
from pathlib import Path

import cv2
import numpy as np

from afformer.errors import OutputError
from afformer.files import check_writable, replacing
from afformer.images import ClassMap, RGBImage
from afformer.opencv import quiet_opencv
from afformer.runtime.render import Renderer
from afformer.streams.annotation import annotate
from afformer.streams.capture import PLAUSIBLE_FPS, BGRImage, quiet_ffmpeg
from afformer.streams.frames import Frame
from afformer.streams.sinks import Sink

DEFAULT_FPS = 25.0
"""For sources without a frame rate, such as numbered pictures."""
_CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
_LONGEST_GAP_S = 2.0
"""The longest time for which a paced video shows a picture, so that an hour without a stream does not become an hour
of video."""


class VideoSink(Sink):
    """An annotated video: the overlay of every frame, at the size of the first one.

    Written beside the target and put in its place by `close`, which checks that it can be read. Codecs take even sizes
    only: an odd last row or column is left out.

    Args:
        path: `.mp4`, `.m4v`, `.mov`, `.mkv` (MPEG-4) or `.avi` (Motion JPEG).
        paced: Repeat pictures where the frames' time stamps leave gaps, up to two seconds, so that the video of a
            camera runs in real time. Otherwise every frame is written once.

    Raises:
        OutputError: The ending stands for no known format, or nothing can be written there.
    """

    def __init__(
        self, path: Path, renderer: Renderer, fps: float = DEFAULT_FPS, *, paced: bool = False, legend: bool = False
    ) -> None:
        if path.suffix.lower() not in _CODECS:
            raise OutputError(
                f"{path}: '{path.suffix}' is not a video format that can be written; use {', '.join(_CODECS)}"
            )
        if not 0 < fps <= PLAUSIBLE_FPS:
            raise OutputError(f"{path}: a video must have between 0 and {PLAUSIBLE_FPS} frames a second, got {fps:g}")
        check_writable(path)
        self.path = path
        self.fps = fps
        self.frames = 0
        """Pictures written so far, including repeated ones."""
        self._renderer, self._legend = renderer, legend
        self._pace = Pace(fps) if paced else None
        self._file = contextlib.ExitStack()
        self._temporary = path
        self._writer: cv2.VideoWriter | None = None
        self._picture: BGRImage = np.empty((0, 0, 3), np.uint8)

    def write(self, frame: Frame, classmap: ClassMap) -> list[Path]:  # noqa: D102 - see Sink
        image = frame.image
        writer = self._writer or self._start(image)
        if image.shape != self._picture.shape:
            raise OutputError(
                f"{self.path}: a video has one size, but {frame.name} is {_size(image)} after frames of "
                f"{_size(self._picture)}; write overlays instead"
            )
        for _ in range(self._pace.repeats(frame.time_s) if self._pace else 0):
            self._append(writer)
        drawn = annotate(self._renderer, image, classmap, legend=self._legend)
        cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR, dst=self._picture)
        self._append(writer)
        return []

    def close(self) -> list[Path]:
        """Finishes the video, which is valid from one frame on.

        Raises:
            OutputError: It cannot be finished, for instance because the disk is full.
        """
        if self._writer is None:
            return []
        self._writer.release()
        self._writer = None
        with self._file:
            self._check()
        return [self.path]

    def _start(self, image: RGBImage) -> cv2.VideoWriter:
        height, width = image.shape[:2]
        if min(height, width) < 2:
            raise OutputError(f"{self.path}: a video needs frames of 2x2 pixels or more, got {_size(image)}")
        codec = cv2.VideoWriter.fourcc(*_CODECS[self.path.suffix.lower()])
        quiet_ffmpeg()
        with contextlib.ExitStack() as file:
            self._temporary = file.enter_context(replacing(self.path))
            with quiet_opencv():
                writer = cv2.VideoWriter(str(self._temporary), codec, self.fps, (width, height))
            if not writer.isOpened():
                raise OutputError(
                    f"{self.path}: OpenCV cannot write a {_size(image)} video of {self.fps:g} frames a second; try .avi"
                )
            self._file = file.pop_all()
        self._writer, self._picture = writer, np.empty_like(image)
        return writer

    def _append(self, writer: cv2.VideoWriter) -> None:
        writer.write(self._picture)
        self.frames += 1

    def _check(self) -> None:
        """OpenCV does not report a full disk, but the video then lacks frames, or its end."""
        with quiet_opencv():
            capture = cv2.VideoCapture(str(self._temporary))
        counted = capture.get(cv2.CAP_PROP_FRAME_COUNT) if capture.isOpened() else 0
        capture.release()
        if counted < self.frames * 0.99 - 1:  # some containers round their length
            raise OutputError(
                f"{self.path}: only {max(0, int(counted))} of {self.frames} frames could be written; is the disk full?"
            )


class Pace:
    """How often to repeat the last picture so that a video keeps up with its frames' time stamps."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._written = 0
        self._start_s = 0.0

    def repeats(self, time_s: float | None) -> int:
        """Pictures missing before the frame with this time stamp (seconds), which then counts as written."""
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


def _size(image: RGBImage) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
