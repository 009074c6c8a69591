"""An open video: its film, frame by frame, with PyAV's FFmpeg.

PyAV gives what OpenCV does not: exact times, the pixels' aspect ratio, the sound, damage. Its pictures are those of
OpenCV, in the same time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from afformer.images import RGBImage
from afformer.streams.continuity import JUMPING, Continuity
from afformer.streams.frames import Track

log = logging.getLogger(__name__)

PLAUSIBLE_FPS = 1000
"""A higher "frame rate" is the resolution of the time stamps of a video without a constant rate."""
_HDR = {16: "PQ (HDR)", 18: "HLG (HDR)"}
"""Transfer curves (ITU-T H.273) whose pictures would look dull and grey on other screens."""
_BT709 = 1
_CONVERTS_HDR = int(av.__version__.partition(".")[0]) >= 18
"""Older releases, the last ones for Python 3.10, only rename the curve."""
_HDR_FATE = {
    True: "converted to those of ordinary screens",
    False: "taken as they are, dull and grey: PyAV 17 cannot convert them; install PyAV 18, for Python 3.11 or newer",
}
_LOOKED_AT = 100
"""Packets of all video streams by which a still is known."""
_TIMEOUTS_S = (10.0, 10.0)
"""To open a URL, and for each read."""


class Readable(Protocol):
    """A file that can only be read forwards, such as stdin."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        ...


class ReadingError(Exception):
    """The video's data end with an error; the message is FFmpeg's reason."""


class Video:
    """An open video, whose first frame could be decoded.

    Args:
        file: A path, a URL, or an open file.
        title: What messages call it.

    Attributes:
        fps: Frames per second on average; None if unknown.
        length: Number of frames, if the container knows it.
        damaged: Parts of the film that could not be decoded so far.

    Raises:
        ReadingError: It is not a video, or no frame of it can be decoded.
    """

    def __init__(self, file: Path | str | Readable, title: str) -> None:
        self._title, self.damaged = title, 0
        with contextlib.ExitStack() as opened:
            self._container = opened.enter_context(_open(file))
            self._film = _film(self._container, file if isinstance(file, Path) else None)
            self._film.thread_type = "AUTO"
            frames = self._decoded()
            first = next(frames, None)
            if first is None:
                raise ReadingError("no frame can be decoded")
            opened.pop_all()
        self._frames = itertools.chain([first], frames)
        self._first = first
        self._turn = _Turn.of(first)
        self._converter = VideoReformatter()  # keeps its tables, which take seconds to make for HDR
        self._base = Fraction(first.time_base or self._film.time_base or Fraction(1, 25))
        # The times of presentation in AVI, which stores none, are FFmpeg's guess.
        self._stamp = "dts" if self._container.format.name == "avi" else "pts"
        self.fps = _rate(self._film)
        self.length = self._length()
        self.track = self._track(file if isinstance(file, (Path, str)) else None)
        if first.color_trc in _HDR:
            log.warning("%s: its %s colours are %s", title, _HDR[first.color_trc], _HDR_FATE[_CONVERTS_HDR])

    def __iter__(self) -> Iterator[tuple[av.VideoFrame, float, float | None]]:
        """Each frame, its time in seconds since the first one, and how long it is shown, if the file says so.

        Raises:
            ReadingError: The data end with an error.
        """
        times = Continuity(jumping=self._container.format.name in JUMPING)
        first = getattr(self._first, self._stamp)
        for index, frame in enumerate(self._frames):
            shown = float(frame.duration * self._base) if frame.duration else None
            stamp = getattr(frame, self._stamp)
            if stamp is None or first is None:
                yield frame, index / (self.fps or 25.0), shown
            else:
                yield frame, float(times.time_of((stamp - first) * self._base)), shown

    def to_rgb(self, frame: av.VideoFrame, buffer: RGBImage | None) -> RGBImage:
        """The frame upright, in RGB, with HDR converted; in `buffer` if its size fits.

        Raises:
            ReadingError: FFmpeg has no memory or threads for it.
        """
        options: dict[str, Any] = {}
        if _CONVERTS_HDR and frame.color_trc in _HDR:
            options = {"dst_color_trc": _BT709, "dst_color_primaries": _BT709}
        try:
            plane = self._converter.reformat(frame, format="rgb24", **options).planes[0]
        except av.error.FFmpegError as error:
            raise ReadingError(error.strerror or type(error).__name__) from error
        rows = np.frombuffer(memoryview(plane), np.uint8, plane.line_size * frame.height)
        rows = rows.reshape(frame.height, plane.line_size)[:, : 3 * frame.width]
        shown = self._turn.upright(rows.reshape(frame.height, frame.width, 3))
        if buffer is None or buffer.shape != shown.shape:
            buffer = np.empty(shown.shape, np.uint8)
        np.copyto(buffer, shown)
        return buffer

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def _decoded(self) -> Iterator[av.VideoFrame]:
        packets = self._container.demux(self._film)
        while True:
            problem: av.error.FFmpegError | None = None
            try:
                packet = next(packets, None)
            except IndexError:  # PyAV ends at a stream that appears on the way; asked again, it leaves that out
                packets = self._container.demux(self._film)
                continue
            except av.error.FFmpegError as error:
                packet, problem = None, error
            if packet is None and problem is None:
                return
            try:
                yield from packet.decode() if packet else self._film.codec_context.decode(None)
            except av.error.EOFError:
                pass
            except av.error.FFmpegError:
                self.damaged += 1
            if problem:
                raise ReadingError(problem.strerror or str(type(problem).__name__)) from problem

    def _length(self) -> int | None:
        """The container's count, unless it cannot be true, or an edit list shows only a part of its frames."""
        film = self._film
        if 0 < self._container.size < film.frames:  # a placeholder, in what was written to a pipe
            return None
        edits = "mov" in self._container.format.name
        if not (edits and film.frames and film.duration and self.fps and film.time_base):
            return film.frames or None
        expected = float(film.duration * film.time_base) * self.fps
        return film.frames if abs(film.frames - expected) <= max(1.5, 0.01 * expected) else None

    def _track(self, file: Path | str | None) -> Track:
        start = Fraction(self._container.start_time or 0, av.time_base)
        film = self._film
        stamp = self._first.pts if self._stamp == "pts" else film.start_time
        first = Fraction(stamp or 0) * self._base
        end = float(film.duration * film.time_base) if film.duration and film.time_base else None
        aspect = film.sample_aspect_ratio or Fraction(1)
        return Track(
            time_base=self._base,
            start_s=max(Fraction(0), first - start),
            end_s=end,
            pixel_aspect=1 / aspect if self._turn.by_quarter else aspect,
            sound=file if self._container.streams.audio else None,
        )


def _open(file: Path | str | Readable) -> Any:
    try:
        if isinstance(file, (Path, str)):
            return av.open(str(file), timeout=None if isinstance(file, Path) else _TIMEOUTS_S)
        return av.open(file)
    except (av.error.FFmpegError, ValueError) as error:
        raise ReadingError(getattr(error, "strerror", None) or "unknown format") from error


def _film(container: av.container.InputContainer, path: Path | None) -> av.VideoStream:
    """The video stream that is the film, not its cover picture, a preview or a single still.

    Args:
        container: The open file.
        path: Where it can be opened again.
    """
    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        raise ReadingError("holds no video" + " but a cover picture" * bool(container.streams.video))
    stills = _stills(streams, path) if len(streams) > 1 else set()

    def rank(stream: av.VideoStream) -> tuple[bool, int]:
        return stream.index not in stills, getattr(stream, "width", 0) * getattr(stream, "height", 0)

    return max(streams, key=rank)


def _stills(streams: Sequence[av.VideoStream], path: Path | None) -> set[int]:
    """The numbers of the streams that are a single picture: as they say, or else by the packets at the file's start."""
    if path is None or all(stream.frames for stream in streams):
        return {stream.index for stream in streams if stream.frames == 1}
    counts = dict.fromkeys((stream.index for stream in streams), 0)
    with contextlib.suppress(av.error.FFmpegError, IndexError), _open(path) as container:
        packets = container.demux([container.streams[index] for index in counts])
        for packet in itertools.islice(packets, _LOOKED_AT):
            counts[packet.stream_index] += packet.size > 0
    return {index for index, count in counts.items() if count < 2}


def _rate(film: av.VideoStream) -> float | None:
    for rate in (film.average_rate, film.guessed_rate):
        if rate and 0 < rate <= PLAUSIBLE_FPS:
            return float(rate)
    return None


@dataclasses.dataclass(frozen=True)
class _Turn:
    """How pictures are turned and mirrored before they are shown: x' = ax + cy, y' = bx + dy."""

    a: int = 1
    b: int = 0
    c: int = 0
    d: int = 1

    @classmethod
    def of(cls, frame: av.VideoFrame) -> _Turn:
        """That of a film, by its first frame: asking every frame would keep all of them in memory for a while."""
        data: Any = frame.side_data.get("DISPLAYMATRIX")
        return cls() if data is None else cls(*(int(n) for n in np.frombuffer(bytes(data), np.int32)[[0, 1, 3, 4]]))

    @property
    def by_quarter(self) -> bool:
        """Whether width and height are exchanged."""
        return abs(self.b) > abs(self.a)

    def upright(self, picture: RGBImage) -> RGBImage:
        """The picture as it is shown."""
        right, down = (self.c, self.b) if self.by_quarter else (self.a, self.d)
        if self.by_quarter:
            picture = np.asarray(cv2.transpose(picture), np.uint8)
        if right < 0 or down < 0:
            picture = np.asarray(cv2.flip(picture, -1 if right < 0 and down < 0 else int(right < 0)), np.uint8)
        return picture
