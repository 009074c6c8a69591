"""The training recipe, for a few steps on synthetic pictures."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from afformer import datasets  # noqa: E402
from afformer.model.checkpoint import load_checkpoint  # noqa: E402

RECIPES = Path(__file__).parents[2] / "recipes"
OPTIONS = ("--batch", "2", "--crop", "64x64", "--workers", "0", "--every", "1")


def recipe(*arguments: object) -> int:
    sys.path.insert(0, str(RECIPES))
    try:
        code: int = importlib.import_module("train").main([str(argument) for argument in arguments])
    finally:
        sys.path.remove(str(RECIPES))
    return code


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures of 64x96 to train on and one to validate on: sky above, road below, a car of random place."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 1)):
        for kind in ("images", "labels"):
            (folder / split / kind).mkdir(parents=True)
        for index in range(count):
            label = np.zeros((64, 96), np.uint8)
            label[32:] = 3
            left = int(rng.integers(0, 60))
            label[30:50, left : left + 30] = 8
            label[:2] = 255
            colours = np.array([*datasets.CAMVID.palette, *[(0, 0, 0)] * 245], np.uint8)[label]
            cv2.imwrite(str(folder / split / "images" / f"{index}.png"), colours)
            cv2.imwrite(str(folder / split / "labels" / f"{index}.png"), label)
    return folder


def test_two_steps_make_a_checkpoint_that_loads_with_its_classes(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recipe(data, tmp_path / "model.pth", *OPTIONS, "--epochs", 1, "--amp") == 0
    assert re.search(r"epoch 1/1  loss [\d.]+  val mIoU [\d.]+  pixel accuracy [\d.]+", capsys.readouterr().out)
    checkpoint = load_checkpoint(tmp_path / "model.pth")
    assert (checkpoint.config.name, checkpoint.classes) == ("tiny", datasets.CAMVID.classes)
    assert checkpoint.palette == datasets.CAMVID.palette


def test_a_stopped_run_goes_on_and_ends_where_an_unbroken_one_ends(data: Path, tmp_path: Path) -> None:
    for name, stops in (("whole", (2,)), ("broken", (1, 2))):
        for stop in stops:
            output = tmp_path / f"{name}.safetensors"
            assert recipe(data, output, *OPTIONS, "--epochs", 2, "--stop-after", stop) == 0
    whole, broken = (load_checkpoint(tmp_path / f"{name}.safetensors").state for name in ("whole", "broken"))
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_going_on_with_other_options_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe(data, tmp_path / "model.pth", *OPTIONS, "--epochs", 2, "--stop-after", 1)
    assert recipe(data, tmp_path / "model.pth", *OPTIONS, "--epochs", 2, "--seed", 7) == 1
    complaint = capsys.readouterr().err
    assert "is of a run with other options" in complaint
    assert complaint.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_clear_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recipe(data, tmp_path / "model.pth", *OPTIONS, "--device", "cuda") == 1
    assert capsys.readouterr().err.startswith("error: --device cuda: PyTorch finds no CUDA device here")
    assert list(tmp_path.iterdir()) == []


def test_training_changes_every_weight(data: Path, tmp_path: Path) -> None:
    """A parameter that no gradient reaches would stay what it was."""
    for stop in (1, 2):
        recipe(data, tmp_path / "model.pth", *OPTIONS, "--epochs", 2, "--stop-after", stop)
        (tmp_path / "model.pth").rename(tmp_path / f"{stop}.pth")
    before, after = (load_checkpoint(tmp_path / f"{stop}.pth").state for stop in (1, 2))
    assert [name for name in before if torch.equal(before[name], after[name])] == []
