"""What lies beside a checkpoint to go on: only what a run has written is taken up."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from afformer.errors import AfformerError
from afformer.train.curve import Check
from afformer.train.saved import RunFiles

STATE = {"network.weight": torch.rand(2, 3), "count": torch.tensor(7), "random.cpu": torch.arange(9, dtype=torch.uint8)}
CHECK = Check(3, 1.2, 2.0, 1 / 3, 0.25, 0.5, {"sky": 0.1, "road": 0.9})


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    found = RunFiles(tmp_path / "model.pth", {"seed": "0"})
    found.save(STATE, [CHECK], "title")
    return found


def said(**changes: Any) -> dict[str, str]:
    return {"run": json.dumps({"setting": {"seed": "0"}, "checks": [CHECK.to_json() | changes]})}


def error_of(files: RunFiles) -> str:
    with pytest.raises(AfformerError, match="delete it to begin anew") as caught:
        files.load(STATE)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{files.resume}: ")
    return str(caught.value)


def test_tensors_and_checks_come_back_to_the_bit(files: RunFiles) -> None:
    found = files.load(STATE)
    assert found is not None
    state, checks = found
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)
    assert checks == [CHECK]


def test_a_pickle_is_not_run(files: RunFiles, tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "touched"),)

    files.resume.write_bytes(pickle.dumps(Touch()))
    error_of(files)
    torch.save({"state": Touch()}, files.resume)
    error_of(files)
    assert not (tmp_path / "touched").exists()


def test_a_cut_file_is_one_line(files: RunFiles) -> None:
    whole = files.resume.read_bytes()
    for size in range(len(whole)):
        files.resume.write_bytes(whole[:size])
        error_of(files)


def test_a_pipe_is_refused_without_waiting(files: RunFiles) -> None:
    files.resume.unlink()
    os.mkfifo(files.resume)
    assert "not a regular file" in error_of(files)


@pytest.mark.parametrize(
    "state",
    [
        {name: STATE[name] for name in ("network.weight", "count")},
        STATE | {"more": torch.ones(1)},
        STATE | {"network.weight": torch.rand(3, 3)},
        STATE | {"network.weight": torch.rand(1, 3)},
        STATE | {"network.weight": torch.rand(2, 3).half()},
    ],
    ids=["missing", "more", "other shape", "a shape that would be repeated", "other type"],
)
def test_tensors_that_do_not_fit_the_network_are_refused(files: RunFiles, state: dict[str, torch.Tensor]) -> None:
    safetensors.torch.save_file(state, files.resume, said())
    error_of(files)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"run": "[" * 100_000},
        {"run": "{}"},
        {"run": '{"setting": 5, "checks": []}'},
        said(step=0),
        said(step=True),
        said(step=10**400),
        said(loss=float("inf")),
        said(loss=[1]),
        said(per_class_iou={"\ud800": 0.5}),
        said(per_class_iou=None),
    ],
)
def test_what_is_said_of_the_run_is_checked(files: RunFiles, metadata: dict[str, str] | None) -> None:
    safetensors.torch.save_file(STATE, files.resume, metadata)
    error_of(files)
