"""Video files: the header, and the first frames."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

from afformer.errors import ImageError
from afformer.streams.capture import quiet_ffmpeg
from afformer.streams.video_file import VideoFile
from tests.builders.videos import write_clip
from tests.fuzz.targets import Target

_FRAMES = 4


def _run(path: Path) -> None:
    with VideoFile(path) as source:
        for frame in itertools.islice(source, _FRAMES):
            if isinstance(frame.content, ImageError):
                raise frame.content
            assert frame.content.ndim == len("HWC")


def _seeds() -> list[bytes]:
    quiet_ffmpeg()
    with tempfile.TemporaryDirectory() as folder:
        names = ("a.mp4", "a.avi", "a.mkv")
        return [write_clip(Path(folder) / name, 3, size_hw=(32, 48)).read_bytes() for name in names]


TARGET = Target(_run, _seeds, None, ("afformer.streams",), ".mp4")
