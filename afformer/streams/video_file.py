"""Video files and stdin as sources: every frame, in order. Codecs are those of OpenCV's own wheel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2

from afformer.errors import ImageError
from afformer.images import RGBImage
from afformer.streams.capture import BGRImage, FrameBuffers, is_bare, open_capture, rate_of, read_picture
from afformer.streams.frames import Frame, FrameSource

_EXTENSIONS = "3gp avi flv gif m2ts m4v mjpeg mjpg mkv mov mp4 mpeg mpg mts ogv ts webm wmv"
VIDEO_EXTENSIONS = frozenset(f".{name}" for name in _EXTENSIONS.split())
_COUNTED = {".mp4", ".mov", ".m4v", ".avi", ".3gp"}
"""Containers that store their number of frames; that of others is an estimate."""
_STDIN = "pipe:0"


class VideoFile(FrameSource):
    """All frames of a video, in order. Can be read several times, unless it is stdin.

    A video with fewer frames than its container promises ends with a frame that holds an error. Concatenated pictures
    have neither a rate nor time stamps.

    Args:
        path: The file, or the URL of one.
        name: What outputs are named after; the file's name without its extension if left out.

    Raises:
        ImageError: There is no such file, or no video in it.
    """

    def __init__(self, path: Path | str, name: str | None = None) -> None:
        self._path = path
        self._title = "stdin" if path == _STDIN else str(path)
        self.name = name or Path(path).stem
        self.paths = (path,) if isinstance(path, Path) else ()
        self._opened: cv2.VideoCapture | None = self._open()
        self._bare, self.fps = is_bare(self._opened), rate_of(self._opened)
        count = self._opened.get(cv2.CAP_PROP_FRAME_COUNT)
        counted = path != _STDIN and Path(path).suffix.lower() in _COUNTED
        self.length = int(count) if counted and count > 0 else None
        self._buffers = FrameBuffers()

    def __iter__(self) -> Iterator[Frame]:
        capture, self._opened = self._opened or self._open(), None
        picture: BGRImage | None = None
        index, start = 0, 0.0
        try:
            while (picture := read_picture(capture, picture)) is not None:
                at = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                start = start if index else at
                yield self._frame(index, self._buffers.rgb(picture), None if self._bare else at - start)
                index += 1
        finally:
            capture.release()
        if not index:
            yield self._frame(index, ImageError(self._unreadable()))
        elif self.length and index < self.length:
            cut = f"ends after {index} of {self.length} frames; it is truncated or damaged there"
            yield self._frame(index, ImageError(f"{self._title}: {cut}"))

    def recycle(self, frame: Frame) -> None:  # noqa: D102 - see FrameSource
        self._buffers.give_back(frame)

    def close(self) -> None:  # noqa: D102 - see FrameSource
        if self._opened:
            self._opened.release()
            self._opened = None

    def _frame(self, index: int, content: RGBImage | ImageError, time_s: float | None = None) -> Frame:
        return Frame(index, f"{self.name}_{index:06d}", content, self.paths[0] if self.paths else None, time_s)

    def _open(self) -> cv2.VideoCapture:
        return open_capture(str(self._path), problem=self._unreadable())

    def _unreadable(self) -> str:
        if self._path == _STDIN:
            return (
                "stdin: holds no video or pictures that can be read from a pipe; expected concatenated JPEG or PNG "
                "pictures, Matroska, AVI or MPEG-TS"
            )
        return (
            f"{self._title}: is not a video that OpenCV can read, or is damaged; check the path and convert it to "
            "H.264 in MP4"
        )


def open_stdin() -> VideoFile:
    """The video or the pictures that are piped into this process.

    `ffmpeg -i ANYTHING -f image2pipe -c:v mjpeg - | ...`, or `cat *.jpg | ...`: concatenated JPEG or PNG pictures, or a
    video in a container that can be piped (Matroska, AVI, MPEG-TS). No frame is dropped: the writer waits.

    Raises:
        ImageError: There is nothing of that kind on stdin.
    """
    return VideoFile(_STDIN, "stdin")
