"""A tar archive's table of contents; nothing is extracted."""

from __future__ import annotations

import re
from typing import NamedTuple

from afformer.model.reading.faults import Budget, DamageError, RefusalError
from afformer.model.reading.source import Source

_BLOCK = 512
_REGULAR = (b"0", b"\0")
_ATTRIBUTES = (b"x", b"g")
_KINDS = {"1": "a hard link", "2": "a symbolic link", "3": "a device", "4": "a device", "5": "a folder", "6": "a FIFO"}
_LARGEST_ATTRIBUTES = 64 << 10
_REDEFINING = re.compile(rb"(?:^|\n)\d+ (?:path|size|linkpath|GNU\.sparse[^=]*)=")
_STEPS_PER_MEMBER = 50


class Member(NamedTuple):
    """Where a regular file's bytes are."""

    at: int
    size: int


def read_members(source: Source, names: set[str], budget: Budget) -> dict[str, Member]:
    """The members called `names`.

    Raises:
        DamageError: A header is damaged, or a name is missing or stands there twice.
        RefusalError: One of them is not a regular file.
    """
    found: dict[str, Member] = {}
    at = 0
    while at + _BLOCK <= source.size:
        budget.step(_STEPS_PER_MEMBER)
        header = source.read(at, _BLOCK)
        if not any(header):
            break
        name, kind, size = _header(header)
        at += _BLOCK
        if kind in _ATTRIBUTES:
            _check_attributes(source, at, size)
        elif name in names:
            _check_member(name, kind, found)
            found[name] = Member(at, size)
        if at + size > source.size:
            raise DamageError("the archive is cut")
        at += -(-size // _BLOCK) * _BLOCK
    if names - found.keys():
        raise DamageError(f"the archive lacks {', '.join(sorted(names - found.keys()))}")
    return found


def _header(header: bytes) -> tuple[str, bytes, int]:
    """Name, kind and size of a member."""
    if sum(header) - sum(header[148:156]) + 8 * ord(" ") != _octal(header[148:156]):
        raise DamageError("a header of the archive is damaged")
    prefix = header[345:500].rstrip(b"\0")
    name = header[:100].partition(b"\0")[0].rstrip(b"/")
    return (
        (prefix + b"/" + name if prefix else name).decode("utf-8", "replace"),
        header[156:157],
        _octal(header[124:136]),
    )


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not re.fullmatch(rb"[0-7]{1,12}", digits):
        raise DamageError("a header of the archive is damaged")
    return int(digits, 8)


def _check_attributes(source: Source, at: int, size: int) -> None:
    """Additional attributes may say when a file was made, but not what the header says differently."""
    if size > _LARGEST_ATTRIBUTES or _REDEFINING.search(source.read(at, size)):
        raise RefusalError("a tar archive that torch.save did not write; expected a state dict from torch.save")


def _check_member(name: str, kind: bytes, found: dict[str, Member]) -> None:
    if kind not in _REGULAR:
        what = _KINDS.get(kind.decode("latin-1"), "no regular file")
        raise RefusalError(f"a tar archive whose member '{name}' is {what}, which torch.save never writes; refused")
    if name in found:
        raise DamageError(f"the archive holds {name} twice")
