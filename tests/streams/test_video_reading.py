"""An open video, where FFmpeg fails."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Any

import av
import pytest

from afformer.streams import video_reading
from afformer.streams.video_reading import ReadingError, Video
from tests.builders.videos import write_clip


class WithoutThreads:
    """Stands in for what converts frames, where the system gives it no thread."""

    def reformat(self, *_: object, **__: object) -> Any:
        raise av.error.BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def test_a_frame_that_cannot_be_converted_ends_the_video_with_ffmpegs_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_reading, "VideoReformatter", WithoutThreads)
    with contextlib.closing(Video(write_clip(tmp_path / "a.mp4", 2), "a.mp4")) as video:
        frame, _, _ = next(iter(video))
        with pytest.raises(ReadingError, match="temporarily unavailable"):
            video.to_rgb(frame, None)
