"""A reader with the faults that the engine must find."""

from __future__ import annotations

import os
import random
from pathlib import Path

from afformer.errors import AfformerError
from tests.fuzz.targets import Target

KEPT: list[bytearray] = []


def _run(path: Path) -> None:
    data = path.read_bytes()
    if data == b"loop":
        while True:
            pass
    if data == b"memory":
        KEPT.append(bytearray(b"x" * (600 << 20)))
    if data == b"die":
        os.abort()
    if data == b"lines":
        raise AfformerError("one\ntwo")
    if data == b"key":
        raise KeyError("key")
    raise AfformerError("as it should be")


def _stay(data: bytes, _chance: random.Random) -> bytes:
    return data


TARGET = Target(_run, lambda: [b"good", b"lines", b"key", b"loop", b"memory", b"die"], _stay, (), ".bin")
