"""What a caller chooses to have written; imports nothing heavy, so that the commands can offer it."""

from __future__ import annotations

import enum


class Output(enum.Enum):
    """What is written of a frame; the value is what the file's name ends with."""

    OVERLAY = "_overlay.png"
    """The picture, tinted with the classes' colours."""
    MASK = "_mask.png"
    """Class ids, shown in the palette's colours: an indexed PNG."""
    SIDE_BY_SIDE = "_side_by_side.png"
    """The picture and its overlay."""
    NPY = "_classmap.npy"
    """The class map as numpy keeps it."""
    JSON = "_classes.json"
    """Each class's pixels and share."""


class Codec(enum.Enum):
    """What an annotated video is encoded with."""

    H264 = "h264"
    """Plays everywhere."""
    HEVC = "hevc"
    """Smaller files, slower."""
    AV1 = "av1"
    """Smaller files still, for newer players."""
    MPEG4 = "mpeg4"
    """MPEG-4 part 2: the fastest, with large files, for old players."""
    MJPEG = "mjpeg"
    """Every frame by itself, for editing: the largest files."""
