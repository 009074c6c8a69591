"""What a user may name as a source, and what opens it."""

from __future__ import annotations

import functools
import glob
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from afformer.datasets import PICTURE_EXTENSIONS
from afformer.errors import ImageError
from afformer.streams.frames import FrameSource
from afformer.streams.live import open_camera, open_stream
from afformer.streams.picture_files import open_pictures
from afformer.streams.video_file import VIDEO_EXTENSIONS, VideoFile, open_stdin

SourceLocation = str | Path | int
"""A picture file, a folder, a pattern such as `frames/*.jpg` (`**` for subfolders), a numbered sequence such as
`frame_%04d.png`, a video file, the number of a camera, `/dev/video*`, the URL of a stream, or `-` for stdin."""

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def open_source(location: SourceLocation | Sequence[SourceLocation]) -> FrameSource:
    """Opens what a user names; see `SourceLocation`, and `open_pictures` for pictures.

    A file or folder of that name comes before any other meaning: a folder `0` is not camera 0. A video behind a URL
    (`https://.../street.mp4`) is read like a file, every frame of it; any other URL is live.

    Raises:
        ImageError: There is no such file, camera or stream, it holds no pictures, or a video, camera or stream was
            combined with other sources.
    """
    locations = [location] if isinstance(location, (str, Path, int)) else list(location)
    openers = [(one, _opener(one)) for one in locations]
    for one, opener in openers:
        if opener and len(locations) == 1:
            return opener()
        if opener:
            raise ImageError(f"{one}: must be the only source; only pictures, folders and patterns can be combined")
    return open_pictures([one for one in locations if not isinstance(one, int)])


def names_source(text: str) -> bool:
    """Whether a text can only mean a source, by its suffix or as a folder, pattern, camera or URL."""
    path = Path(text)
    suffixes = PICTURE_EXTENSIONS | VIDEO_EXTENSIONS
    return path.suffix.lower() in suffixes or path.is_dir() or glob.has_magic(text) or _opener(text) is not None


def _opener(location: SourceLocation) -> Callable[[], FrameSource] | None:
    """What opens a video, a camera, a stream or stdin; None for pictures."""
    text, path = str(location), Path(str(location))
    if text == "-":
        return open_stdin
    if _URL.match(text):
        is_file = Path(text.partition("?")[0]).suffix.lower() in VIDEO_EXTENSIONS
        return functools.partial(VideoFile if is_file else open_stream, text)
    if path.is_file() and path.suffix.lower() in VIDEO_EXTENSIONS:
        return functools.partial(VideoFile, path)
    if isinstance(location, int) or (text.isascii() and text.isdecimal() and not path.exists()):
        return functools.partial(open_camera, int(text))
    if path.is_char_device() or text.startswith("/dev/video"):
        return functools.partial(open_camera, text)
    return None
