"""The text file of class names."""

from __future__ import annotations

from pathlib import Path

from afformer.datasets.names_file import read_names
from tests.fuzz.targets import Target


def _run(path: Path) -> None:
    dataset = read_names(path)
    assert len(dataset.classes) == len(dataset.palette)


def _seeds() -> list[bytes]:
    good = b"sky\nroad #804080\ntraffic light\n"
    return [good, good.decode().encode("utf-8-sig"), good.decode().encode("utf-16"), b"a\r\nb\x85c\x1cd\n", b""]


TARGET = Target(_run, _seeds, None, ("afformer.datasets",), ".txt")
