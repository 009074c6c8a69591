"""Video files as sources: every frame, in order."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from afformer.errors import ImageError
from afformer.images import RGBImage
from afformer.streams.addresses import name_of, without_secrets
from afformer.streams.buffers import FrameBuffers
from afformer.streams.frames import Frame, FrameSource
from afformer.streams.truncation import missing_bytes
from afformer.streams.video_reading import Readable, ReadingError, Video

log = logging.getLogger(__name__)

_EXTENSIONS = (
    "264 265 3gp asf avi dv f4v flv gif h264 h265 hevc ivf m2ts m2v m4v mjpeg mjpg mkv mov mp4 mpeg mpg mts mxf ogm "
    "ogv ts vob webm wmv y4m"
)
VIDEO_EXTENSIONS = frozenset(f".{name}" for name in _EXTENSIONS.split())


class VideoFile(FrameSource):
    """All frames of a video, in order. Can be read several times, unless it is stdin.

    A truncated video ends with a frame that holds an error. One with damaged parts is read as far as possible, with a
    warning.

    Args:
        file: The path, the URL of a file, or an open file that is read once.
        name: What outputs are named after; the file's name without its extension if left out.

    Raises:
        ImageError: There is no such file, or no video in it.
    """

    def __init__(self, file: Path | str | Readable, name: str | None = None) -> None:
        self._file = file
        if isinstance(file, Path):
            self._title, self.name, self.paths = str(file), name or file.stem, (file,)
        elif isinstance(file, str):
            self._title, self.name = without_secrets(file), name or name_of(file, "video")
        else:
            self.name = self._title = name or "stdin"
        self._opened: Video | None = self._open()
        self.fps, self.length, self.track = self._opened.fps, self._opened.length, self._opened.track
        self._buffers = FrameBuffers()

    def __iter__(self) -> Iterator[Frame]:
        video, self._opened = self._opened or self._open(), None
        index, problem = 0, ""
        with contextlib.closing(video):
            try:
                for picture, time_s, shown_s in video:
                    yield self._frame(index, video.to_rgb(picture, self._buffers.take()), time_s, shown_s)
                    index += 1
            except ReadingError as error:
                problem = f"ends after {self._count(index)} with an error ({error}); it is damaged there"
        missing = missing_bytes(self._file) if isinstance(self._file, Path) else 0
        if missing:
            problem = f"ends after {self._count(index)}; the file is truncated, {missing} bytes or more are missing"
        if problem:
            yield self._frame(index, ImageError(f"{self._title}: {problem}; copy it again"))
        elif video.damaged:
            log.warning("%s: is damaged; %d parts of it could not be decoded", self._title, video.damaged)

    def recycle(self, frame: Frame) -> None:  # noqa: D102 - see FrameSource
        self._buffers.give_back(frame)

    def close(self) -> None:  # noqa: D102 - see FrameSource
        if self._opened:
            self._opened.close()
            self._opened = None

    def _frame(
        self, index: int, content: RGBImage | ImageError, time_s: float | None = None, shown_s: float | None = None
    ) -> Frame:
        path = self.paths[0] if self.paths else None
        return Frame(index, f"{self.name}_{index:06d}", content, path, time_s, shown_s=shown_s)

    def _count(self, index: int) -> str:
        return f"{index} of {self.length} frames" if self.length else f"{index} frames"

    def _open(self) -> Video:
        try:
            return Video(self._file, self._title)
        except ReadingError as error:
            raise ImageError(f"{self._title}: {self._unreadable(error)}") from error

    def _unreadable(self, error: ReadingError) -> str:
        if not isinstance(self._file, (Path, str)):
            return (
                "holds no video or pictures that can be read from a pipe; expected concatenated JPEG or PNG pictures, "
                "Matroska, AVI or MPEG-TS"
            )
        missing = missing_bytes(self._file) if isinstance(self._file, Path) and self._file.is_file() else 0
        if missing:
            return f"cannot be read, as the file is truncated: {missing} bytes or more are missing; copy it again"
        return (
            f"is not a video that can be read, or is damaged ({error}); check the path and convert it to H.264 in MP4"
        )
