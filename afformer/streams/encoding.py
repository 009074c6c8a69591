"""Pictures and times -> a video file, with PyAV's encoders; the source's sound beside them."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from afformer.errors import OutputError
from afformer.images import RGBImage
from afformer.streams.choices import Codec
from afformer.streams.frames import Track
from afformer.streams.sound import Sound

_QUICKTIME = (".mp4", ".m4v", ".mov")
CONTAINERS = (*_QUICKTIME, ".mkv", ".avi")
_MPEG4_FINEST = 65535
"""MPEG-4 part 2 counts time in units of a second divided by this at most."""

_BT601 = 6
"""The matrix that OpenCV converts to (ITU-T H.273)."""
_LATE = 64
"""Frames that an encoder may hold back."""
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_LAMBDA = 118
"""FFmpeg's unit of `global_quality`."""


@dataclasses.dataclass(frozen=True)
class _Encoder:
    """An FFmpeg encoder, its options, and how it stores colours."""

    name: str
    options: dict[str, str]
    pixels: str = "yuv420p"
    even: bool = True
    """Whether width and height must be even."""
    single_threaded: bool = True
    """Whether one thread is enough, which leaves the other cores to the network."""


# No frames that refer to later ones (bf=0): a time stays what it is in every container, and encoding is faster.
_ENCODERS = {
    Codec.H264: _Encoder("libx264", {"preset": "ultrafast", "crf": "21", "bf": "0"}),
    Codec.HEVC: _Encoder(
        "libx265",
        {"preset": "superfast", "crf": "22", "x265-params": "bframes=0:log-level=none"},
        single_threaded=False,
    ),
    Codec.AV1: _Encoder(
        "libsvtav1", {"preset": "10", "crf": "30", "svtav1-params": "pred-struct=1"}, single_threaded=False
    ),
    Codec.MPEG4: _Encoder("mpeg4", {"flags": "+qscale", "global_quality": str(4 * _LAMBDA)}, even=False),
    Codec.MJPEG: _Encoder("mjpeg", {"flags": "+qscale", "global_quality": str(3 * _LAMBDA)}, "yuvj420p", even=False),
}


class VideoWriter:
    """Writes one video.

    Args:
        path: Where to; its extension decides the container.
        size_wh: Of the pictures; an encoder that takes even sizes only leaves out the last row or column.
        codec: What it is encoded with.
        track: Time base, aspect ratio of the pixels, and sound.
        fps: Average number of frames a second, for players that want to know.
        title: What messages call the video.

    Raises:
        OutputError: The codec does not take the size, or the container not the codec.
    """

    def __init__(
        self, path: Path, size_wh: tuple[int, int], codec: Codec, *, track: Track, fps: float, title: str
    ) -> None:
        self._encoder, self._title = _ENCODERS[codec], title
        width, height = (side - side % 2 if self._encoder.even else side for side in size_wh)
        self.size_wh = width, height
        """Of the video."""
        self._base = _time_base(track.time_base, codec)
        self._last = -1
        self._sound: Sound | None = None
        self._shown: dict[int, int] = {}
        options = {}
        if path.suffix.lower() in _QUICKTIME:  # where the video starts is stored in these units
            options = {"movie_timescale": str(min(self._base.denominator, 1_000_000))}
        self._file = av.open(str(path), "w", options=options)
        try:
            self._stream = self._add_stream(track, fps)
            self._converter = VideoReformatter()
            self._sound = Sound.of(track, self._file, path.suffix.lower(), title)
            self._file.start_encoding()
        except (av.error.FFmpegError, ValueError) as error:
            self._abandon()
            raise OutputError(
                f"{title}: a {width}x{height} video in {codec.value} cannot be written as {path.suffix} "
                f"({getattr(error, 'strerror', error)}); choose another codec or size"
            ) from error

    def write(self, picture: RGBImage, time_s: Fraction, shown_s: float | None = None) -> None:
        """Adds a picture, which is shown from then on.

        Args:
            picture: `(H, W, 3)` uint8 RGB, at least as large as the video.
            time_s: Seconds since the start of the video; later than that of the picture before.
            shown_s: How long it is shown, for the last one.

        Raises:
            OutputError: The disk is full.
        """
        frame = self._frame(picture)
        self._last = max(round(time_s / self._base), self._last + 1)
        frame.pts, frame.time_base = self._last, self._base
        self._shown = {self._last: round(Fraction(shown_s or 0) / self._base)} | dict(list(self._shown.items())[:_LATE])
        with self._failing():
            if self._sound:
                self._sound.write_until(self._last * self._base)
            self._mux(frame)

    def close(self, *, whole_sound: bool = True) -> None:
        """Finishes the video.

        Args:
            whole_sound: Whether to keep the sound that goes on after the last picture.

        Raises:
            OutputError: The disk is full.
        """
        try:
            with self._failing():
                self._mux(None)
                if self._sound:
                    end = (self._last + self._shown.get(self._last, 0)) * self._base
                    self._sound.finish(None if whole_sound else end)
                self._file.close()
        finally:
            self._abandon()

    def _add_stream(self, track: Track, fps: float) -> Any:
        rate = Fraction(fps).limit_denominator(1001)
        stream: Any = self._file.add_stream(self._encoder.name, rate=rate, options=dict(self._encoder.options))
        stream.width, stream.height = self.size_wh
        stream.pix_fmt = self._encoder.pixels
        stream.time_base = stream.codec_context.time_base = self._base
        stream.codec_context.sample_aspect_ratio = track.pixel_aspect
        stream.codec_context.colorspace = _BT601
        if self._encoder.single_threaded:
            stream.codec_context.thread_count = 1
        return stream

    def _frame(self, picture: RGBImage) -> av.VideoFrame:
        width, height = self.size_wh
        picture = picture[:height, :width]
        if self._encoder.pixels == "yuv420p" and self._encoder.even:  # OpenCV takes even sizes, in half the time
            yuv = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), np.uint8)
            return av.VideoFrame.from_ndarray(yuv, "yuv420p")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
        return self._converter.reformat(frame, format=self._encoder.pixels)

    def _mux(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            shown = self._shown.get(packet.pts or 0)
            if shown:
                packet.duration = shown
            self._file.mux(packet)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except av.error.FFmpegError as error:
            hint = "; is the disk full?" if error.errno in _DISK else ""
            raise OutputError(f"{self._title}: cannot be written any more ({error.strerror}){hint}") from error

    def _abandon(self) -> None:
        with contextlib.suppress(av.error.FFmpegError):  # an error was reported before, or there was none
            self._file.close()
        if self._sound:
            self._sound.close()


def _time_base(wanted: Fraction, codec: Codec) -> Fraction:
    if codec is Codec.MPEG4 and wanted.denominator > _MPEG4_FINEST:
        return Fraction(1, _MPEG4_FINEST // 5 * 5 // 1000 * 1000)
    return wanted
