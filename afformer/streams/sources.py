"""What a user may name as a source, and what opens it."""

from __future__ import annotations

import functools
import glob
import io
from collections.abc import Callable, Sequence
from pathlib import Path

from afformer.decoding import JPEG, PNG, is_picture
from afformer.decoding.pillow import open_picture
from afformer.decoding.signatures import ENOUGH, is_video
from afformer.errors import ImageError
from afformer.streams.addresses import is_url, name_of, suffix_of, without_secrets
from afformer.streams.fetching import ask
from afformer.streams.file_names import find_files, open_pictures, picture_extensions
from afformer.streams.frames import FrameSource
from afformer.streams.live import open_camera, open_stream
from afformer.streams.picture_files import PictureData, PictureFiles
from afformer.streams.picture_pipe import Ahead, Descriptor, PicturePipe
from afformer.streams.video_file import VIDEO_EXTENSIONS, VideoFile

SourceLocation = str | Path | int
"""A picture file, a folder, a pattern such as `frames/*.jpg` (`**` for subfolders), a numbered sequence such as
`frame_%04d.png`, a video file, the number of a camera, `/dev/video*`, a URL, or `-` for stdin."""
Opener = Callable[[], FrameSource]

_LONGEST_PICTURE = 1 << 30
"""Bytes of a picture on stdin."""


def open_source(location: SourceLocation | Sequence[SourceLocation]) -> FrameSource:
    """Opens what a user names; see `SourceLocation`, and `find_files` for pictures.

    A file or folder of that name comes before any other meaning: a folder `0` is not camera 0. What is behind an HTTP
    URL is what the server says it is: a picture, a video file, of which every frame is read, or a live stream.

    Raises:
        ImageError: There is no such file, camera or stream, it holds no pictures, or a video, camera or stream was
            combined with other sources.
    """
    locations = _listed(location)
    if len(locations) == 1 and (opener := _opener(locations[0])):
        return opener()
    for one in locations:
        if _opener(one):
            raise ImageError(_alone(one, "only pictures, folders and patterns can be combined"))
    return open_pictures([one for one in locations if not isinstance(one, int)])


def names_source(text: str) -> bool:
    """Whether a text can only mean a source, by its suffix or as a folder, pattern, camera or URL."""
    path = Path(text)
    suffixes = picture_extensions() | VIDEO_EXTENSIONS
    return path.suffix.lower() in suffixes or path.is_dir() or glob.has_magic(text) or _opener(text) is not None


def openers(
    location: SourceLocation | Sequence[SourceLocation], left_out: Callable[[Path], bool] = lambda path: False
) -> list[Opener]:
    """What opens each of the sources that a user names: first all pictures as one, then every video.

    Unlike for `open_source`, a folder stands for the videos in it, too, and several videos may be named. Videos of one
    name get different ones (`street`, `street-2`).

    Args:
        location: What the user names.
        left_out: Says which of several files are left out, unless nothing else is there.

    Raises:
        ImageError: There is no such file, it holds neither pictures nor videos, or a camera, stream or stdin was
            combined with other sources.
    """
    locations = _listed(location)
    files = []
    for one in locations:
        opener = None if _is_video_file(one) else _opener(one)
        if opener and len(locations) == 1:
            return [opener]
        if opener:
            raise ImageError(_alone(one, "only files, folders and patterns can be combined"))
        files.append(Path(str(one)) if isinstance(one, int) else one)
    found = find_files(files, picture_extensions() | VIDEO_EXTENSIONS)
    found = [path for path in found if not left_out(path)] or found
    videos = [path for path in found if _is_video_file(path)]
    pictures = [path for path in found if path not in set(videos)]
    names = _unique_names(videos)
    return [
        *([functools.partial(PictureFiles, pictures)] if pictures else []),
        *(functools.partial(_open_video, path, name) for path, name in zip(videos, names, strict=True)),
    ]


def _listed(location: SourceLocation | Sequence[SourceLocation]) -> list[SourceLocation]:
    return [location] if isinstance(location, (str, Path, int)) else list(location)


def _alone(location: SourceLocation, rule: str) -> str:
    return f"{without_secrets(str(location))}: must be the only source; {rule}"


def _unique_names(paths: Sequence[Path]) -> list[str]:
    names: list[str] = []
    for path in paths:
        name, number = path.stem, 1
        while name.casefold() in {taken.casefold() for taken in names}:
            number += 1
            name = f"{path.stem}-{number}"
        names.append(name)
    return names


def _opener(location: SourceLocation) -> Opener | None:
    """What opens a video, a camera, a stream, a URL or stdin; None for files and folders of pictures."""
    text, path = str(location), Path(str(location))
    if text == "-":
        return open_stdin
    if is_url(text):
        return functools.partial(_open_url, text)
    if _is_video_file(location):
        return functools.partial(_open_video, path, path.stem)
    if isinstance(location, int) or (text.isascii() and text.isdecimal() and not path.exists()):
        return functools.partial(open_camera, int(text))
    if path.is_char_device() or text.startswith("/dev/video"):
        return functools.partial(open_camera, text)
    return None


def _is_video_file(location: SourceLocation) -> bool:
    path = Path(str(location))
    suffix = path.suffix.lower()
    if not path.is_file():
        return False
    if suffix == ".gif":
        return _moves(path.read_bytes())
    return suffix in VIDEO_EXTENSIONS or (suffix not in picture_extensions() and _holds_video(path))


def _holds_video(path: Path) -> bool:
    """Whether a file whose name does not tell starts like a video."""
    try:
        with path.open("rb") as file:
            return is_video(file.read(ENOUGH))
    except OSError:  # whoever opens it says so
        return False


def _moves(gif: bytes) -> bool:
    return getattr(open_picture(gif), "n_frames", 1) > 1


def _open_video(path: Path, name: str) -> FrameSource:
    """A video file; one that is nothing but pictures behind each other is taken for that, whatever it is called."""
    try:
        with path.open("rb") as file:
            bare = file.read(16).startswith((JPEG, PNG))
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    return PicturePipe(path, str(path), name) if bare else VideoFile(path, name)


def _open_url(url: str) -> FrameSource:
    is_file = suffix_of(url) in VIDEO_EXTENSIONS
    scheme = url.partition(":")[0].lower()
    if scheme in ("http", "https") and (answer := ask(url)):
        if answer.picture is not None:
            return PictureData(answer.picture, without_secrets(url), name_of(url, "picture"))
        is_file = not answer.live and (is_file or answer.is_file)
    if scheme in ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "srt"):
        is_file = False
    return VideoFile(url) if is_file else open_stream(url)


def open_stdin() -> FrameSource:
    """The picture, the pictures or the video that is piped into this process.

    `ffmpeg -i ANYTHING -f image2pipe -c:v mjpeg - | ...`, or `cat *.jpg | ...`: concatenated JPEG or PNG pictures, one
    picture in any format, or a video in a container that can be piped (Matroska, AVI, MPEG-TS). No frame is dropped:
    the writer waits.

    Raises:
        ImageError: There is nothing of that kind on stdin.
    """
    file = Ahead(Descriptor(0))
    head = file.peek(ENOUGH)
    if head.startswith((JPEG, PNG)):
        return PicturePipe(file, "stdin", "stdin")
    if not is_picture(head):
        return VideoFile(file, "stdin")
    data = file.rest(_LONGEST_PICTURE)
    return (
        VideoFile(io.BytesIO(data), "stdin")
        if _moves(data) and head.startswith(b"GIF")
        else PictureData(data, "stdin", "stdin")
    )
