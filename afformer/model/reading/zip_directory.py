"""A zip archive's table of contents, of archives that can be read in one way only.

`torch.save` writes one directory at the very end, one entry per name, and stores without compression. Whatever differs
is refused: two readers could see two archives in it, or it grows while it is read.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from afformer.model.reading.faults import Budget, DamageError, printable
from afformer.model.reading.source import Source

_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_IN_64, _IN_64_SHORT = 0xFFFFFFFF, 0xFFFF
_SIZES_64 = 0x0001  # the extra field that holds the 64-bit sizes
_ENCRYPTED = 1
_STEPS_PER_ENTRY = 10


class Member(NamedTuple):
    """A file in an archive.

    Attributes:
        name: Its path in the archive.
        start: Where its local header begins.
        size: Bytes.
        limit: Where the next member's header or the directory begins.
        stored: Whether its bytes are there as they are, neither compressed nor encrypted.
    """

    name: str
    start: int
    size: int
    limit: int
    stored: bool

    def at(self, source: Source) -> int:
        """Where its bytes begin.

        Raises:
            DamageError: They are not where the directory says.
        """
        signature, *_, name_size, extra_size = _LOCAL.unpack(source.read(self.start, _LOCAL.size))
        begin: int = self.start + _LOCAL.size + name_size + extra_size
        if signature != b"PK\3\4" or begin + self.size > self.limit:
            raise DamageError(f"{printable(self.name)} is not where the archive's directory says")
        return begin


def read_directory(source: Source, budget: Budget) -> dict[str, Member]:
    """The members of an archive by name.

    Raises:
        DamageError: The directory is missing, cut, contradictory, or not at the end of the file.
        RefusalError: It has too many entries for the size of the file.
    """
    start, size, count = _find(source)
    budget.step(_STEPS_PER_ENTRY * count)
    entries = _entries(source.read(start, size), count)
    starts = [entry.start for entry in entries]
    if not starts or min(starts) != 0:
        raise DamageError("something stands before the archive's first file")
    following = dict(zip(sorted(starts), [*sorted(starts)[1:], start], strict=True))
    if len(following) != count or max(starts) >= start:
        raise DamageError("two files of the archive lie in the same place")
    found = {entry.name: entry._replace(limit=following[entry.start]) for entry in entries}
    if len(found) != count:
        raise DamageError("two files of the archive have the same name")
    return found


def _find(source: Source) -> tuple[int, int, int]:
    """Where the directory begins, its bytes and its entries."""
    end = source.size - _END.size
    if end < 0:
        raise DamageError("it is too short for an archive")
    signature, disk, first_disk, here, count, size, start, comment = _END.unpack(source.read(end, _END.size))
    if signature != b"PK\5\6" or comment:
        raise DamageError("the archive's directory is not at the end of the file")
    locator = end - _LOCATOR_64.size
    if locator >= 0 and source.read(locator, 4) == b"PK\6\7":
        end, real = _find_64(source, locator)
        short = (_IN_64_SHORT, _IN_64_SHORT, _IN_64, _IN_64)
        told = zip((here, count, size, start), short, (real[0], real[0], real[1], real[2]), strict=True)
        if any(value not in (marker, actual) for value, marker, actual in told):
            raise DamageError("the archive has two directories that contradict each other")
        count, size, start = real
    elif here != count:
        raise DamageError("the archive is a part of a larger one")
    if (disk, first_disk) != (0, 0) or start + size != end or count > size // _ENTRY.size:
        raise DamageError("the archive's directory does not end where the file does")
    return start, size, count


def _find_64(source: Source, locator: int) -> tuple[int, tuple[int, int, int]]:
    """Where the directory of an archive with 64-bit sizes must end; its entries, bytes and begin."""
    end = locator - _END_64.size
    _, disk, told, disks = _LOCATOR_64.unpack(source.read(locator, _LOCATOR_64.size))
    if end < 0 or (disk, told, disks) != (0, end, 1):
        raise DamageError("the archive's directory is not at the end of the file")
    signature, length, _, _, disk, first, here, count, size, start = _END_64.unpack(source.read(end, _END_64.size))
    if (signature, length, disk, first, here) != (b"PK\6\6", _END_64.size - 12, 0, 0, count):
        raise DamageError("the archive's directory is damaged")
    return end, (count, size, start)


def _entries(directory: bytes, count: int) -> list[Member]:
    """The members as the directory describes them, without their limits."""
    entries, at = [], 0
    for _ in range(count):
        if at + _ENTRY.size > len(directory):
            raise DamageError("the archive's directory is cut")
        signature, _, _, flags, method, *_, packed, size, name_size, extra_size, comment, _, _, _, start = (
            _ENTRY.unpack_from(directory, at)
        )
        names = at + _ENTRY.size
        at = names + name_size + extra_size + comment
        if signature != b"PK\1\2" or at > len(directory):
            raise DamageError("the archive's directory is damaged")
        name = directory[names : names + name_size].decode("utf-8", "backslashreplace")
        extra = directory[names + name_size : names + name_size + extra_size]
        size, packed, start = _sizes_64(extra, size, packed, start)
        entries.append(Member(name, start, size, 0, not method and size == packed and not flags & _ENCRYPTED))
    if at != len(directory):
        raise DamageError("the archive's directory has more entries than it says")
    return entries


def _sizes_64(extra: bytes, *sizes: int) -> list[int]:
    """The sizes with those that did not fit into 32 bits taken from the extra field."""
    found = list(sizes)
    wanted = [index for index, value in enumerate(found) if value == _IN_64]
    at = 0
    while wanted and at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == _SIZES_64 and length >= 8 * len(wanted) and at + 4 + length <= len(extra):
            for place, value in zip(wanted, struct.unpack_from(f"<{len(wanted)}Q", extra, at + 4), strict=True):
                found[place] = value
            return found
        at += 4 + length
    if wanted:
        raise DamageError("the archive's directory lacks a size")
    return found
