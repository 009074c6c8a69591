"""What `train` keeps beside a checkpoint to go on."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

import safetensors.torch
import torch

from afformer.train.curve import Check
from afformer.train.saved import RunFiles
from tests.fuzz.json_changes import changed
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import Target

_STATE = {"network.weight": torch.ones(2, 3), "random.cpu": torch.arange(16, dtype=torch.uint8)}
_SETTING = {"seed": "0", "classes": "sky, road"}
_CHECKS = [Check(3, 1.5, 2.0, 0.7, 0.25, 0.5, {"sky": 0.5, "road": float("nan")})]
_LENGTH = 8
"""Bytes before the header, which hold its size."""


def _run(path: Path) -> None:
    found = RunFiles(path.with_suffix(".pth"), _SETTING).load(_STATE)
    assert found is not None
    state, checks = found
    assert state.keys() == _STATE.keys()
    assert json.dumps([check.to_json() for check in checks], allow_nan=False)


def _seeds() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        files = RunFiles(Path(folder) / "model.pth", _SETTING)
        files.save(_STATE, _CHECKS, "title")
        good = files.resume.read_bytes()
    empty = safetensors.torch.save(_STATE, {"run": "{}"})
    deep = safetensors.torch.save(_STATE, {"run": "[" * 100_000})
    return [good, empty, deep, safetensors.torch.save(_STATE), b""]


def _inside(data: bytes, chance: random.Random) -> bytes:
    """Changes what is said of the run, or the header."""
    size = int.from_bytes(data[:_LENGTH], "little")
    header, numbers = data[_LENGTH : _LENGTH + size], data[_LENGTH + size :]
    try:
        content = json.loads(header)
        content["__metadata__"]["run"] = changed(content["__metadata__"]["run"].encode(), chance).decode()
        header = json.dumps(content).encode()
    except (ValueError, LookupError, TypeError, RecursionError):
        return mutated(data, chance)
    if chance.random() < 0.5:
        header = changed(header, chance)
    return len(header).to_bytes(_LENGTH, "little") + header + numbers


TARGET = Target(_run, _seeds, _inside, ("afformer.train.saved", "afformer.train.curve"), ".resume")
