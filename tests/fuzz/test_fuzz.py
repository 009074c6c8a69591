from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.engine import Options, fuzz
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import NAMES


def test_the_engine_finds_errors_endless_loops_memory_and_crashes(tmp_path: Path) -> None:
    ballast = b"x" * (700 << 20)  # this process's memory is not the engine's
    report = fuzz(Options("planted", "own", 6, 0, 1, str(tmp_path), cpu_seconds=3))
    del ballast
    kept = {Path(path).read_bytes(): what for what, path in report["findings"].items()}
    assert kept.keys() == {b"lines", b"key", b"loop", b"memory", b"die"}
    assert kept[b"lines"] == "a message of several lines"
    assert kept[b"key"].startswith("KeyError at planted.py")
    assert kept[b"loop"].startswith("TooSlow")
    assert kept[b"memory"] == "more than 500 MB"
    assert kept[b"die"].startswith("died with -6")


@pytest.mark.parametrize("name", NAMES)
def test_no_reader_fails_on_its_seeds_and_some_changes_to_them(tmp_path: Path, name: str) -> None:
    report = fuzz(Options(name, "own", 300, 0, 1, str(tmp_path)))
    assert (report["inputs"], report["findings"]) == (300, {})


def test_changes_depend_on_the_seed_alone() -> None:
    data = bytes(range(256))
    first, again, other = (mutated(data, random.Random(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert mutated(b"", random.Random(3)) is not None
