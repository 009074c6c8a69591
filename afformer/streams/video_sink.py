"""An annotated video as a sink."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from afformer.errors import OutputError
from afformer.files import check_writable, replacing
from afformer.images import ClassMap, RGBImage
from afformer.runtime.render import Renderer
from afformer.streams.annotation import annotate
from afformer.streams.choices import Codec
from afformer.streams.encoding import CONTAINERS, VideoWriter
from afformer.streams.frames import Frame, Track
from afformer.streams.sinks import Sink
from afformer.streams.video_reading import PLAUSIBLE_FPS

log = logging.getLogger(__name__)

DEFAULT_FPS = 25.0
"""For sources without a frame rate, such as numbered pictures."""
_LONGEST_GAP_S = Fraction(2)
"""The longest time for which the video of a live source shows a picture, so that an hour without a stream does not
become an hour of video."""
_FINE = Fraction(1, 90_000)
"""The usual unit of times, in seconds."""


class VideoSink(Sink):
    """An annotated video: the overlay of every frame, at the frame's time.

    Written beside the target and put in its place by `close`. Where the codec takes even sizes only, an odd last row or
    column is left out. Its size is that of the first frame: what comes in another size from a camera or a video is
    fitted into it, with black borders.

    Args:
        path: `.mp4`, `.m4v`, `.mov`, `.mkv` or `.avi`.
        fps: Frames a second where frames have no times.
        paced: Shorten gaps between frames to two seconds, as a camera that was away leaves them.
        legend: Draw a legend into the corner.
        codec: What to encode with; by default H.264, and Motion JPEG in `.avi`.
        track: Times, aspect ratio of the pixels and sound of a video file, to be taken over.

    Raises:
        OutputError: The ending stands for no known format, or nothing can be written there.
    """

    def __init__(
        self,
        path: Path,
        renderer: Renderer,
        fps: float = DEFAULT_FPS,
        *,
        paced: bool = False,
        legend: bool = False,
        codec: Codec | None = None,
        track: Track | None = None,
    ) -> None:
        if path.suffix.lower() not in CONTAINERS:
            raise OutputError(
                f"{path}: '{path.suffix}' is not a video format that can be written; use {', '.join(CONTAINERS)}"
            )
        if not 0 < fps <= PLAUSIBLE_FPS:
            raise OutputError(f"{path}: a video must have between 0 and {PLAUSIBLE_FPS} frames a second, got {fps:g}")
        check_writable(path)
        self.path = path
        self.fps = fps
        self.frames = 0
        """Pictures written so far."""
        self._renderer, self._legend = renderer, legend
        self._codec = codec or (Codec.MJPEG if path.suffix.lower() == ".avi" else Codec.H264)
        self._step_s = 1 / Fraction(fps).limit_denominator(100_000)
        self._track = track
        self._clock = _Clock(self._step_s, track.start_s if track else Fraction(0), paced=paced)
        self._file = contextlib.ExitStack()
        self._writer: VideoWriter | None = None
        self._size_hw = (0, 0)
        self._ended_s = 0.0

    def write(self, frame: Frame, classmap: ClassMap) -> list[Path]:  # noqa: D102 - see Sink
        image = frame.image
        writer = self._writer or self._start(frame)
        fits = image.shape[:2] == self._size_hw
        if not fits and frame.time_s is None:
            height, width = self._size_hw
            raise OutputError(
                f"{self.path}: a video has one size, but {frame.name} is {_size(image)} after frames of "
                f"{width}x{height}; write overlays instead"
            )
        drawn = annotate(self._renderer, image, classmap, legend=self._legend)
        drawn = drawn if fits else fit_into(drawn, self._size_hw)
        writer.write(drawn, self._clock.time_of(frame), frame.shown_s)
        self.frames += 1
        self._ended_s = (frame.time_s or 0.0) + (frame.shown_s or 0.0)
        return []

    def close(self) -> list[Path]:
        """Finishes the video, which is valid from one frame on.

        Raises:
            OutputError: It cannot be finished, for instance because the disk is full.
        """
        if self._writer is None:
            return []
        writer, self._writer = self._writer, None
        film_s = self._track.end_s if self._track else None
        with self._file:
            # Where a run was interrupted, the rest of the sound would play to a picture that stands still.
            writer.close(whole_sound=film_s is None or self._ended_s > film_s - 0.5)
        return [self.path]

    def _start(self, frame: Frame) -> VideoWriter:
        image = frame.image
        height, width = image.shape[:2]
        track = self._track or Track(self._step_s if frame.time_s is None else _FINE)
        if min(height, width) < 2:
            raise OutputError(f"{self.path}: a video needs frames of 2x2 pixels or more, got {_size(image)}")
        with contextlib.ExitStack() as file:
            temporary = file.enter_context(replacing(self.path))
            writer = VideoWriter(
                temporary, (width, height), self._codec, track=track, fps=self.fps, title=str(self.path)
            )
            self._file = file.pop_all()
        if writer.size_wh != (width, height):
            log.warning(
                "%s: is %dx%d, as %s takes even sizes only; frames are %s",
                self.path,
                *writer.size_wh,
                self._codec.value,
                _size(image),
            )
        self._writer, self._size_hw = writer, (height, width)
        return writer


@dataclasses.dataclass
class _Clock:
    """The time of each frame in the video, in seconds since its start."""

    step_s: Fraction
    start_s: Fraction
    paced: bool
    _count: int = 0
    _last_s: Fraction = Fraction(0)
    _cut_s: Fraction = Fraction(0)

    def time_of(self, frame: Frame) -> Fraction:
        self._count += 1
        if frame.time_s is None:
            return self.start_s + (self._count - 1) * self.step_s
        time_s = Fraction(frame.time_s)
        if self.paced:
            if self._count == 1:
                self._cut_s = time_s
            self._cut_s += max(Fraction(0), time_s - self._cut_s - self._last_s - _LONGEST_GAP_S)
            self._last_s = time_s - self._cut_s
            return self._last_s
        return self.start_s + time_s


def fit_into(picture: RGBImage, size_hw: tuple[int, int]) -> RGBImage:
    """Resizes a picture to fit into a size, with black borders."""
    height, width = size_hw
    scale = min(height / picture.shape[0], width / picture.shape[1])
    inner = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    canvas = np.zeros((height, width, 3), np.uint8)
    top, left = (height - inner[1]) // 2, (width - inner[0]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA)
    return canvas


def _size(image: RGBImage) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
