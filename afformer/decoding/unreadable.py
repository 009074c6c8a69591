"""Why a file is no picture that can be read, by its first bytes."""

from __future__ import annotations

from afformer.decoding import jpeg
from afformer.decoding.signatures import JPEG

_NO_PICTURE = (
    "is not a picture that can be read, or is damaged; expected a JPEG, PNG, WebP, AVIF, BMP, GIF or TIFF file"
)
_CONVERT = "cannot be read; convert it to PNG or JPEG"
_STARTS = {
    b"\xff\x0a": "a JPEG XL picture",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture",
    b"II\xbc\x01": "a JPEG XR picture",
    b"8BPS": "a Photoshop file",
    b"gimp xcf": "a GIMP file",
    b"v/1\x01": "an OpenEXR picture",
    b"%PDF": "a PDF file",
    b"FUJIFILMCCD-RAW": "a camera's raw file",
}
_TEXTS = {
    b"version https://git-lfs": "is a pointer of Git LFS, not the picture itself; run `git lfs pull`",
    b"<!doctype html": "is a web page, not a picture; download the picture itself",
    b"<html": "is a web page, not a picture; download the picture itself",
}


class UnreadableError(ValueError):
    """Why a file cannot be read as a picture; the message completes "path: "."""


def reason(data: bytes) -> str:
    """What a file is that no decoder could read; completes "path: "."""
    head = data[:1024].lstrip().lower()
    texts = [text for start, text in _TEXTS.items() if head.startswith(start)]
    kinds = [kind for start, kind in _STARTS.items() if data.startswith(start)]
    if data[4:12] == b"ftypcrx ":
        kinds = ["a camera's raw file"]
    elif b"<svg" in head:
        kinds = ["an SVG drawing"]
    elif data.startswith(JPEG) and (kind := jpeg.unusual_kind(data)):
        kinds = [kind]
    return next(iter(texts), "") or next((f"is {kind}, which {_CONVERT}" for kind in kinds), _NO_PICTURE)
