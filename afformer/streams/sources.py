"""Where pictures come from: files, folders, patterns, numbered sequences; videos and cameras are in `video`, `live`."""

from __future__ import annotations

import abc
import dataclasses
import functools
import glob
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from afformer.datasets import PICTURE_EXTENSIONS
from afformer.errors import ImageError
from afformer.images import RGBImage, read_image

Spec = str | Path | int
"""A picture file, a folder, a pattern such as `frames/*.jpg` (`**` for subfolders), a numbered sequence such as
`frame_%04d.png`, a video file, the number of a camera, `/dev/video*`, the URL of a stream, or `-` for stdin."""

_EXTENSIONS = "3gp avi flv gif m2ts m4v mjpeg mjpg mkv mov mp4 mpeg mpg mts ogv ts webm wmv"
VIDEO_EXTENSIONS = frozenset(f".{name}" for name in _EXTENSIONS.split())
"""A file that ends so is a video, also behind a URL."""

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_NUMBER = re.compile(r"%(?:0?(\d+))?d")


@dataclasses.dataclass(frozen=True)
class Frame:
    """One picture of a source, or the reason why it could not be read.

    Attributes:
        index: Its position in the source, from 0.
        name: What outputs are named after: the file's name without its extension.
        content: `(H, W, 3)` uint8 RGB, or the error.
        path: The file it came from, if it came from a file.
        time_s: Seconds since the first frame of a video or stream; None for pictures.
        captured_at: When a live frame came in, in seconds since 1970; None for files.
    """

    index: int
    name: str
    content: RGBImage | ImageError
    path: Path | None = None
    time_s: float | None = None
    captured_at: float | None = None


class Source(abc.ABC):
    """Frames, one after the other. A subclass gives `__iter__`, and the rest where it must."""

    name: str = "frames"
    """What one output of the whole source is named after, such as an annotated video."""
    length: int | None = None
    """Number of frames, if it is known beforehand."""
    fps: float | None = None
    """Frames a second, if there is such a thing."""
    paths: tuple[Path, ...] = ()
    """The files it reads, which nobody must overwrite."""
    live: bool = False
    """Whether frames come when they come. A live source gives the newest one and drops those that nobody fetched."""
    dropped: int = 0
    """Frames that a live source has dropped so far."""

    @abc.abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yields frames, each read when it is asked for."""

    def recycle(self, frame: Frame) -> None:  # noqa: B027 - optional: saves time only
        """Gives a frame's picture back, to be overwritten by a later one. From any thread."""

    def age_s(self, frame: Frame) -> float:
        """Seconds since a live frame came in; 0 for files."""
        return 0.0

    def stop(self) -> None:  # noqa: B027 - optional: files end by themselves
        """Ends the iteration soon, even one that waits for a frame. From any thread."""

    def close(self) -> None:  # noqa: B027 - optional: files hold nothing
        """Frees what the source holds. It cannot be used afterwards."""

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class PictureFiles(Source):
    """Picture files, read one at a time. One that cannot be read becomes a frame with an error.

    Args:
        paths: The files, in the order in which they are to be read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self.length = len(self.paths)
        self.name = self.paths[0].stem if self.length == 1 else "pictures"

    def __iter__(self) -> Iterator[Frame]:
        for index, path in enumerate(self.paths):
            yield Frame(index, path.stem, _content(path), path)


def open_source(spec: Spec | Sequence[Spec]) -> Source:
    """Opens whatever a user may point at; see `Spec`, and `open_pictures` for pictures.

    A file or folder of that name goes before any other meaning: a folder `0` is not camera 0. A video behind a URL
    (`https://.../street.mp4`) is read like a file, every frame of it; any other URL is live.

    Raises:
        ImageError: There is no such file, camera or stream, there is nothing to see in it, or a video, camera or stream
            was given together with other sources.
    """
    specs = [spec] if isinstance(spec, (str, Path, int)) else list(spec)
    openers = [(one, _opener(one)) for one in specs]
    for one, opener in openers:
        if opener and len(specs) == 1:
            return opener()
        if opener:
            raise ImageError(f"{one}: must be the only source; only pictures, folders and patterns can be combined")
    return open_pictures([one for one in specs if not isinstance(one, int)])


def open_pictures(spec: str | Path | Sequence[str | Path]) -> PictureFiles:
    """Opens a picture, a folder, a pattern, a numbered sequence, or several of them in the order given.

    A folder stands for the pictures in it and in all its subfolders; hidden ones (`.name`) are left out. Folders and
    patterns give files with a picture's extension, in natural order (`2.jpg` before `10.jpg`), as do sequences; a file
    that is named by itself is read whatever its extension. A file that is named twice is read once.

    Raises:
        ImageError: There is no such file or folder, or no picture in it.
    """
    specs = [spec] if isinstance(spec, (str, Path)) else list(spec)
    if not specs:
        raise ImageError("no source was given; expected a picture, a folder or a pattern")
    return PictureFiles(tuple(dict.fromkeys(path for one in specs for path in _expand(one))))


def _opener(spec: Spec) -> Callable[[], Source] | None:
    """What opens a video, a camera, a stream or stdin; None for pictures."""
    from afformer.streams import live, video  # here: they build on this module

    text, path = str(spec), Path(str(spec))
    if text == "-":
        return video.open_stdin
    if _URL.match(text):
        is_file = Path(text.partition("?")[0]).suffix.lower() in VIDEO_EXTENSIONS
        return functools.partial(video.VideoFile if is_file else live.open_stream, text)
    if path.is_file() and path.suffix.lower() in VIDEO_EXTENSIONS:
        return functools.partial(video.VideoFile, path)
    if isinstance(spec, int) or (text.isascii() and text.isdecimal() and not path.exists()):
        return functools.partial(live.open_camera, int(text))
    if path.is_char_device() or text.startswith("/dev/video"):
        return functools.partial(live.open_camera, text)
    return None


def _expand(spec: str | Path) -> list[Path]:
    path = Path(spec)
    if path.is_dir():
        found = [p for p in path.rglob("*") if not any(part.startswith(".") for part in p.relative_to(path).parts)]
        return _pictures(found, spec)
    if path.exists():
        return [path]
    if _NUMBER.search(path.name):
        return _sequence(path)
    if glob.has_magic(str(spec)):
        return _pictures([Path(match) for match in glob.glob(str(spec), recursive=True)], spec)  # noqa: PTH207 - absolute
    raise ImageError(
        f"{spec}: there is no such file or folder; expected a picture, a folder, a pattern like 'dir/*.jpg', a video, "
        "the number of a camera, or the URL of a stream"
    )


def _sequence(spec: Path) -> list[Path]:
    """The files of a numbered sequence: `%d` stands for any number, `%04d` for one of four digits or more."""
    regex, end = "", 0
    for number in _NUMBER.finditer(spec.name):
        width = int(number[1] or 1)
        regex += re.escape(spec.name[end : number.start()]) + rf"\d{{{width},}}"
        end = number.end()
    whole = re.compile(regex + re.escape(spec.name[end:]))
    found = spec.parent.iterdir() if spec.parent.is_dir() else ()
    return _pictures([path for path in found if whole.fullmatch(path.name)], spec)


def _pictures(paths: list[Path], spec: str | Path) -> list[Path]:
    # A link to nowhere is kept, so that it is reported like any other file that cannot be read.
    named = [path for path in paths if path.suffix.lower() in PICTURE_EXTENSIONS]
    found = [path for path in named if path.is_file() or path.is_symlink()]
    if not found:
        raise ImageError(f"{spec}: holds no pictures; expected files with {', '.join(sorted(PICTURE_EXTENSIONS))}")
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts by folder, then digits as numbers; the text itself decides between `01` and `1`."""
    parts = re.split(r"(\d+)", path.as_posix().casefold())
    return [(int(part) if part.isdecimal() else -1, part) for part in parts]


def _content(path: Path) -> RGBImage | ImageError:
    try:
        return read_image(path)
    except ImageError as error:
        return error
