"""The ranges file."""

from __future__ import annotations

import tempfile
from pathlib import Path

from afformer.quantize.observers import Method
from afformer.quantize.ranges import Range
from afformer.quantize.ranges_file import CalibrationKey, load, save
from tests.fuzz.json_changes import changed
from tests.fuzz.targets import Target

_KEY = CalibrationKey(Method.AVERAGE, False, 64, "aa", "bb")
_RANGES = {"conv2d": Range(-3.25, 4.5), "relu": Range(0.0, 1 / 3)}


def _run(path: Path) -> None:
    found = load(path, _KEY, list(_RANGES))
    found.reason.encode()
    assert found.ranges is None or list(found.ranges) == list(_RANGES)


def _seeds() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / "ranges.json", _RANGES, _KEY)
        good = (Path(folder) / "ranges.json").read_bytes()
    return [
        good,
        b"[" * 100_000,
        good.replace(b"[-3.25, 4.5]", b"[" * 100_000 + b"]" * 100_000),
        good.replace(b"4.5", b"Infinity"),
        good.replace(b": 64", b": Infinity"),
        good.replace(b"4.5", b"1" + b"0" * 400),
    ]


TARGET = Target(_run, _seeds, changed, ("afformer.quantize.ranges_file",), ".json")
