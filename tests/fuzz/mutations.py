"""Changes to files that often break readers: numbers at limits, pieces twice, elsewhere, or gone."""

from __future__ import annotations

import random
import struct

_LIMITS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1)
_WIDTHS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_MOST_CHANGES = 6
_LONGEST_PIECE = 64


def mutated(data: bytes, chance: random.Random) -> bytes:
    """`data` with one change or a few."""
    found = bytearray(data)
    for _ in range(chance.randint(1, _MOST_CHANGES)):
        chance.choice(_CHANGES)(found, chance)
    return bytes(found)


def _flip(data: bytearray, chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _replace(data: bytearray, chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.randrange(256)


def _number(data: bytearray, chance: random.Random) -> None:
    width, code = chance.choice(list(_WIDTHS.items()))
    if len(data) >= width:
        at = chance.randrange(len(data) - width + 1)
        value = chance.choice(_LIMITS) & (256**width - 1)
        struct.pack_into(chance.choice("<>") + code, data, at, value)


def _remove(data: bytearray, chance: random.Random) -> None:
    start, end = _piece(data, chance)
    del data[start:end]


def _repeat(data: bytearray, chance: random.Random) -> None:
    start, end = _piece(data, chance)
    data[start:start] = data[start:end] * chance.choice((1, 1, 1, 50))


def _move(data: bytearray, chance: random.Random) -> None:
    start, end = _piece(data, chance)
    piece = data[start:end]
    at = chance.randrange(len(data) + 1)
    data[at : at + chance.choice((0, len(piece)))] = piece


def _insert(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data) + 1)
    data[at:at] = chance.randbytes(chance.randint(1, 4))


def _cut(data: bytearray, chance: random.Random) -> None:
    if chance.random() < 0.2:
        del data[chance.randrange(len(data) + 1) :]


def _piece(data: bytearray, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(data) + 1)
    return start, min(len(data), start + chance.randint(1, _LONGEST_PIECE))


_CHANGES = (_flip, _replace, _number, _remove, _repeat, _move, _insert, _cut)
