"""The bytes of a pickle, and the operands between its opcodes."""

from __future__ import annotations

import re
import struct

from afformer.model.reading.faults import DamageError

_LONGEST_NUMBER = 1_000
_LONGEST_NAME = 1_000
_DOUBLE = struct.Struct(">d")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


class EndOfPickleError(DamageError):
    """The bytes end before the pickle does."""


class Operands:
    """A position in a pickle.

    Text that is not UTF-8, lone surrogates among it, is kept with backslashes: every text of a file can be printed.
    """

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self._at = at

    @property
    def at(self) -> int:
        """Where the next byte is read."""
        return self._at

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise EndOfPickleError(f"{count:,} bytes are announced, {len(self._data) - self._at:,} are there")
        found = self._data[self._at : end]
        self._at = end
        return found

    def _byte(self) -> int:
        found = self._data[self._at]
        self._at += 1
        return found

    def _unsigned(self, width: int) -> int:
        at = self._at
        self._at = end = at + width
        if end > len(self._data):
            raise EndOfPickleError("a number is cut")
        return int.from_bytes(self._data[at:end], "little")

    def _signed(self, width: int) -> int:
        return int.from_bytes(self._take(width), "little", signed=True)

    def _long(self, width: int) -> int:
        count = self._unsigned(width)
        if count > _LONGEST_NUMBER:
            raise DamageError(f"a number of {count:,} bytes")
        return self._signed(count)

    def _double(self) -> float:
        at = self._at
        self._at = end = at + 8
        if end > len(self._data):
            raise EndOfPickleError("a number is cut")
        found: float = _DOUBLE.unpack_from(self._data, at)[0]
        return found

    def _text(self, width: int) -> str:
        return self._take(self._unsigned(width)).decode("utf-8", "backslashreplace")

    def _old_text(self, width: int) -> str | bytes:
        """A Python 2 string: text, or raw bytes."""
        return _text_or_bytes(self._take(self._unsigned(width)))

    def _line(self, longest: int | None = None) -> bytes:
        end = self._data.find(b"\n", self._at)
        if end < 0:
            raise EndOfPickleError("the end of a line is missing")
        if longest is not None and end - self._at > longest:
            raise DamageError(f"a line of {end - self._at:,} bytes")
        found = self._data[self._at : end]
        self._at = end + 1
        return found

    def _name(self) -> str:
        return self._line(_LONGEST_NAME).decode("utf-8", "backslashreplace")

    def _decimal(self) -> int:
        return int(self._line(_LONGEST_NUMBER).removesuffix(b"L"))

    def _decimal_or_bool(self) -> int | bool:
        line = self._line(_LONGEST_NUMBER)
        return line == b"01" if line in (b"00", b"01") else int(line)

    def _decimal_float(self) -> float:
        return float(self._line(_LONGEST_NUMBER))

    def _quoted(self) -> str | bytes:
        line = self._line().strip()
        if len(line) < 2 or line[0] != line[-1] or line[0] not in b"\"'":
            raise DamageError("a string without quotes")
        return _text_or_bytes(_ESCAPE.sub(_unescaped, line[1:-1]))

    def _escaped(self) -> str:
        found = self._line().decode("raw-unicode-escape")
        return found.encode("utf-8", "backslashreplace").decode("utf-8")


def _unescaped(match: re.Match[bytes]) -> bytes:
    """What `repr` of a Python 2 string writes with a backslash."""
    return bytes.fromhex(match[1].decode()) if match[1] else _ESCAPED.get(match[2], match[2])


def _text_or_bytes(raw: bytes) -> str | bytes:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw
