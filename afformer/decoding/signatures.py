"""What the first bytes of a file say about its format."""

from __future__ import annotations

JPEG = b"\xff\xd8\xff"
PNG = b"\x89PNG\r\n\x1a\n"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_STARTS = (JPEG, PNG, *TIFF, b"BM", b"GIF8", b"P4", b"P5", b"P6", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")
_VIDEO_STARTS = (
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"OggS",
    b"FLV\x01",
    b"0&\xb2u\x8ef\xcf\x11",  # ASF, WMV
    b"\0\0\x01\xba",  # MPEG program stream
    b"\0\0\x01\xb3",  # MPEG video
    b"DKIF",  # IVF
    b"YUV4MPEG2",
    b"nut/multimedia",
    b"\x06\x0e+4\x02\x05\x01\x01",  # MXF
)
_VIDEO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
"""What an MP4 or QuickTime file begins with, after a length of four bytes."""
ENOUGH = 16
"""Bytes that tell."""


def is_picture(head: bytes) -> bool:
    """Whether the first `ENOUGH` bytes of a file are those of a picture, rather than of a video."""
    return head.startswith(_STARTS) or is_webp(head) or is_heif(head) or _brand(head) in _AVIF_BRANDS


def is_video(head: bytes) -> bool:
    """Whether the first `ENOUGH` bytes of a file are those of a video container, rather than of a picture."""
    if is_picture(head):
        return False
    avi = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    return avi or head.startswith(_VIDEO_STARTS) or head[4:8] in _VIDEO_BOXES


def is_webp(head: bytes) -> bool:
    """Whether it is a WebP file; AVI files start with RIFF, too."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def is_heif(head: bytes) -> bool:
    """Whether it is a HEIC file; `mif1` is the brand of some AVIF files, too."""
    return _brand(head) in _HEIF_BRANDS


def _brand(head: bytes) -> bytes:
    return head[8:12] if head[4:8] == b"ftyp" else b""
