"""Frames and what they come from: `FrameSource`, the base class of all sources."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from afformer.errors import ImageError
from afformer.images import RGBImage


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
        shown_s: How long the frame is shown, in seconds, if a video says so.
    """

    index: int
    name: str
    content: RGBImage | ImageError
    path: Path | None = None
    time_s: float | None = None
    captured_at: float | None = None
    shown_s: float | None = None

    @property
    def image(self) -> RGBImage:
        """The picture.

        Raises:
            ValueError: It could not be read.
        """
        if isinstance(self.content, ImageError):
            raise ValueError(f"frame {self.index} ({self.name}) holds an error and no picture: {self.content}")
        return self.content


@dataclasses.dataclass(frozen=True)
class Track:
    """What an annotated video takes over from a video file, besides its frames.

    Attributes:
        time_base: Unit of the frames' times, in seconds.
        start_s: Time of the first frame after the start of the file, in seconds; the sound may start earlier.
        end_s: Length of the film in seconds, if the file says it.
        pixel_aspect: Width of a pixel as a multiple of its height, as the frames are shown.
        sound: The file that holds the sound, if there is any.
    """

    time_base: Fraction
    start_s: Fraction = Fraction(0)
    end_s: float | None = None
    pixel_aspect: Fraction = Fraction(1)
    sound: Path | str | None = None


Self = TypeVar("Self", bound="FrameSource")


class FrameSource(abc.ABC):
    """Frames, one after the other. A subclass implements `__iter__`, and the rest if need be."""

    name: str = "frames"
    """What an output of the whole source is named after, such as an annotated video."""
    length: int | None = None
    """Number of frames, if it is known beforehand."""
    fps: float | None = None
    """Frames per second, if the source has a rate."""
    paths: tuple[Path, ...] = ()
    """The files it reads, which must not be overwritten."""
    live: bool = False
    """Whether frames arrive in real time. A live source yields the newest one and drops those nobody asked for."""
    still: bool = False
    """Whether these are single pictures, not frames of something that moves."""
    track: Track | None = None
    """The times and the sound of a video file."""
    dropped: int = 0
    """Frames that a live source has dropped so far."""

    @abc.abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yields frames, each read when it is asked for."""

    def recycle(self, frame: Frame) -> None:  # noqa: B027 - optional: saves time only
        """Returns a frame's pixels, to be overwritten by a later frame. From any thread."""

    def age_s(self, frame: Frame) -> float:
        """Seconds since a live frame came in; 0 for files."""
        return 0.0

    def stop(self) -> None:  # noqa: B027 - optional: files end by themselves
        """Ends the iteration soon, even while it waits for a frame. From any thread."""

    def close(self) -> None:  # noqa: B027 - optional: files hold nothing
        """Frees what the source holds. It cannot be used afterwards."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
