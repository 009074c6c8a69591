"""Which form a file has by its first bytes, or what it is instead of a checkpoint."""

from __future__ import annotations

import enum

from afformer.model.reading.faults import printable
from afformer.model.reading.source import Source

_LOOKED_AT = 512
_QUOTED = 40
_TAR_MAGIC = slice(257, 262)


class Form(enum.Enum):
    """A form of checkpoint file."""

    ZIP = "zip"
    LEGACY = "legacy"
    TAR = "tar"
    SAFETENSORS = "safetensors"


_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs.github.com/", "a Git LFS pointer; fetch the file itself with 'git lfs pull'"),
    (b"GGUF", "a GGUF file"),
    (b"\x89HDF\r\n", "an HDF5 file (Keras, or MATLAB)"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
    (b"\xfd7zXZ", "compressed with xz; unpack it first"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"PK\5\6", "an empty zip archive"),
    (b"ptrt", "a TensorRT engine"),
    (b"ftrt", "a TensorRT engine"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program or library"),
)
_MARKUP = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<!--")


def form_of(source: Source) -> Form | None:
    """The form that a file begins like, whatever its name ends in."""
    first = source.read(0, min(source.size, _LOOKED_AT))
    if first.startswith(b"PK\3\4"):
        return Form.ZIP
    if first[8:9] == b"{" and int.from_bytes(first[:8], "little") < 1 << 40:
        return Form.SAFETENSORS
    if first[_TAR_MAGIC] == b"ustar":
        return Form.TAR
    if first[:1] == b"\x80" or first.startswith(b"L119547037146038801333356L\n"):  # protocols 0 and 1 have no prefix
        return Form.LEGACY
    return None


def other_kind(source: Source) -> str:
    """What a file is if it is not a checkpoint; empty if unknown."""
    first = source.read(0, min(source.size, _LOOKED_AT))
    for signature, what in _OTHERS:
        if first.startswith(signature):
            return what
    if first.lstrip().lower().startswith(_MARKUP):
        return "a web page or XML; download the file itself"
    if first[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    if first[:1] == b"\x08" and first[2:3] in (b"\x12", b"\x3a", b"\x42"):  # ir_version, then producer, graph or opset
        return "an ONNX model; it runs as it is, without a checkpoint"
    return _text(first)


def _text(first: bytes) -> str:
    """A text is called that, with the words that it begins with."""
    try:
        found = first.decode()
    except UnicodeDecodeError as error:
        found = first[: error.start].decode() if error.start > len(first) - 4 else ""  # cut inside a character
    words = " ".join(found.split())
    return f"a text ({printable(words[:_QUOTED])})" if words.isprintable() and words else ""
