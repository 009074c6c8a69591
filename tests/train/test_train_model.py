"""Whole runs of a few steps on toy pictures."""

from __future__ import annotations

import dataclasses
import re
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from afformer import datasets
from afformer.datasets.names_file import read_names
from afformer.errors import AfformerError, BackendError, CheckpointError, OutputError
from afformer.images import read_image
from afformer.model.checkpoint import load_checkpoint, save_checkpoint
from afformer.runtime.choices import Device
from afformer.spec import IMAGENET_MEAN
from afformer.train.curve import Check
from afformer.train.options import Changes, TrainOptions
from afformer.train.run import Watch
from afformer.train.train_model import TrainReport, train_model, write_sheet
from afformer.train.trainer import rate
from tests.builders.networks import random_network
from tests.builders.street_data import write_names, write_streets

pytestmark = pytest.mark.usefixtures("one_thread")

OPTIONS = TrainOptions(epochs=2, batch=2, crop_hw=(64, 64), checks=2, changes=Changes(scale=(0.8, 1.2)))
"""Five training pictures: five steps, with the check between them in the middle of an epoch."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_streets(folder, 6)
    write_names(folder / "classes.txt")
    return folder


@pytest.fixture(scope="module")
def dataset(data: Path) -> datasets.Dataset:
    return read_names(data / "classes.txt")


@pytest.fixture(scope="module")
def whole(
    one_thread: None, data: Path, dataset: datasets.Dataset, tmp_path_factory: pytest.TempPathFactory
) -> TrainReport:
    """An unbroken run."""
    return train_model(data, tmp_path_factory.mktemp("whole") / "model.pth", dataset, OPTIONS)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(path).state


def test_a_run_leaves_a_checkpoint_that_knows_its_classes_colours_and_normalisation(
    whole: TrainReport, dataset: datasets.Dataset
) -> None:
    checkpoint = load_checkpoint(whole.checkpoint)
    assert checkpoint.config.name == "tiny"
    assert (checkpoint.classes, checkpoint.palette) == (dataset.classes, dataset.palette)
    assert checkpoint.spec((64, 96)).dataset == "custom"
    assert checkpoint.spec((64, 96)).mean == IMAGENET_MEAN


def test_a_run_tells_its_checks_and_draws_them(whole: TrainReport) -> None:
    assert [check.step for check in whole.checks] == [3, 5]
    assert [check.epoch for check in whole.checks] == pytest.approx([1.2, 2.0])
    assert all(0 <= check.miou <= check.pixel_accuracy <= 1 for check in whole.checks)
    assert set(whole.checks[0].per_class_iou) == {"sky", "road", "car"}
    assert (whole.pictures, whole.val_pictures, whole.origin) == (5, 1, "random weights")
    assert "val mIoU" in whole.curve.read_text()


def test_a_stopped_run_goes_on_and_ends_with_the_same_weights_to_the_bit(
    data: Path, dataset: datasets.Dataset, whole: TrainReport, tmp_path: Path
) -> None:
    stopped = train_model(data, tmp_path / "model.pth", dataset, dataclasses.replace(OPTIONS, stop_after=1))
    assert [check.step for check in stopped.checks] == [3]
    torch.rand(7)  # whatever else happens between the two parts
    finished = train_model(data, tmp_path / "model.pth", dataset, OPTIONS)
    expected, found = weights(whole.checkpoint), weights(tmp_path / "model.pth")
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert [c.loss for c in finished.checks] == [c.loss for c in whole.checks]
    assert [c.miou for c in finished.checks] == [c.miou for c in whole.checks]


def test_pictures_that_are_read_for_every_batch_train_the_same_network(
    data: Path, dataset: datasets.Dataset, whole: TrainReport, tmp_path: Path
) -> None:
    train_model(data, tmp_path / "model.pth", dataset, dataclasses.replace(OPTIONS, memory_gb=0, workers=3))
    expected, found = weights(whole.checkpoint), weights(tmp_path / "model.pth")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_finished_run_is_told_again_and_left_as_it_is(
    data: Path, dataset: datasets.Dataset, whole: TrainReport
) -> None:
    before = whole.checkpoint.read_bytes()
    assert train_model(data, whole.checkpoint, dataset, OPTIONS).checks == whole.checks
    assert whole.checkpoint.read_bytes() == before


def test_going_on_with_other_options_or_classes_is_refused(
    data: Path, dataset: datasets.Dataset, whole: TrainReport
) -> None:
    with pytest.raises(AfformerError, match=r"is of another run \(seed 0 then and 7 now\); delete it") as caught:
        train_model(data, whole.checkpoint, dataset, dataclasses.replace(OPTIONS, seed=7))
    assert "\n" not in str(caught.value)
    with pytest.raises(AfformerError, match="classes sky, road, car then and class 0, class 1, class 2 now"):
        train_model(data, whole.checkpoint, datasets.generic(3), OPTIONS)


def test_a_damaged_resume_file_is_one_line(data: Path, dataset: datasets.Dataset, tmp_path: Path) -> None:
    (tmp_path / "model.resume").write_bytes(b"not an archive")
    with pytest.raises(AfformerError, match=r"model\.resume: cannot be read .*delete it to begin anew") as caught:
        train_model(data, tmp_path / "model.pth", dataset, OPTIONS)
    assert "\n" not in str(caught.value)


def test_random_numbers_of_a_resume_file_that_are_none_are_one_line(
    data: Path, dataset: datasets.Dataset, tmp_path: Path
) -> None:
    train_model(data, tmp_path / "model.pth", dataset, dataclasses.replace(OPTIONS, stop_after=1))
    with safe_open(tmp_path / "model.resume", "pt") as file:
        metadata, state = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    state["random.cpu"].fill_(255)
    save_file(state, tmp_path / "model.resume", metadata)
    with pytest.raises(AfformerError, match=r"model\.resume: cannot be read .*delete it to begin anew"):
        train_model(data, tmp_path / "model.pth", dataset, OPTIONS)


def test_training_changes_every_weight(data: Path, dataset: datasets.Dataset, tmp_path: Path) -> None:
    """A parameter that no gradient reaches would stay what it was."""
    options = dataclasses.replace(OPTIONS, epochs=0.4, checks=1)
    train_model(data, tmp_path / "first.pth", dataset, options)
    train_model(data, tmp_path / "second.pth", dataset, dataclasses.replace(OPTIONS, epochs=0.8, checks=1, lr=1e-3))
    before, after = weights(tmp_path / "first.pth"), weights(tmp_path / "second.pth")
    assert [name for name in before if torch.equal(before[name], after[name])] == []


def test_training_leaves_the_callers_random_numbers_alone(
    data: Path, dataset: datasets.Dataset, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    train_model(data, tmp_path / "model.pth", dataset, dataclasses.replace(OPTIONS, epochs=0.4, checks=1))
    assert torch.equal(torch.rand(4), expected)


def test_a_checkpoint_of_other_classes_lends_all_but_its_classifier(
    data: Path, dataset: datasets.Dataset, tmp_path: Path
) -> None:
    """With a rate of next to nothing the weights stay what they were."""
    lender = random_network(num_classes=5)
    save_checkpoint(tmp_path / "lender.pth", lender, datasets.generic(5).classes, datasets.generic(5).palette)
    options = dataclasses.replace(OPTIONS, init=tmp_path / "lender.pth", lr=1e-12, epochs=0.4, checks=1)
    report = train_model(data, tmp_path / "model.pth", dataset, options)
    assert report.origin.endswith("lender.pth, with a new classifier")
    lent, found = lender.state_dict(), weights(tmp_path / "model.pth")
    torch.testing.assert_close(found["head.squeeze.weight"], lent["head.squeeze.weight"])
    assert found["head.classify.weight"].shape[0] == 3
    with pytest.raises(CheckpointError, match="is AFFormer-tiny, but AFFormer-base was asked for"):
        train_model(data, tmp_path / "base.pth", dataset, dataclasses.replace(options, variant="base"))


def test_a_variant_that_is_not_there_names_those_that_are(
    data: Path, dataset: datasets.Dataset, tmp_path: Path
) -> None:
    with pytest.raises(AfformerError, match="`variant` must be tiny, small, base, got huge"):
        train_model(data, tmp_path / "model.pth", dataset, dataclasses.replace(OPTIONS, variant="huge"))


def test_time_can_be_the_budget(
    data: Path, dataset: datasets.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock on which every look takes ten seconds."""
    looks = iter(range(0, 10_000, 10))
    # in this module alone: the event loops of servers in other threads read the same clock
    clock = types.SimpleNamespace(monotonic=lambda: float(next(looks)))
    monkeypatch.setattr("afformer.train.run.time", clock)
    seen: list[Check] = []
    told: list[tuple[str, int, int]] = []
    watch = Watch(lambda *args: told.append(args), seen.append)
    options = dataclasses.replace(OPTIONS, minutes=1, epochs=1000)
    report = train_model(data, tmp_path / "model.pth", dataset, options, watch)
    assert report.checks == tuple(seen)
    assert len(seen) == 2
    assert report.checks[-1].seconds >= 60
    assert told[-1] == ("training", 60, 60)
    assert told[4] == ("reading", 5, 5)


def test_a_loss_that_is_not_finite_ends_the_run_and_saves_nothing(
    data: Path, dataset: datasets.Dataset, tmp_path: Path
) -> None:
    with pytest.raises(AfformerError, match=re.escape("training diverged before step 3: the loss is")):
        train_model(data, tmp_path / "model.pth", dataset, dataclasses.replace(OPTIONS, lr=1e30))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_clear_line(data: Path, dataset: datasets.Dataset, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="device cuda was asked for, but this PyTorch sees no CUDA device"):
        train_model(data, tmp_path / "model.pth", dataset, dataclasses.replace(OPTIONS, device=Device.CUDA))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_the_recorded_step_learns_on_a_gpu(data: Path, dataset: datasets.Dataset, tmp_path: Path) -> None:
    options = dataclasses.replace(OPTIONS, device=Device.CUDA, epochs=40, checks=4)
    checks = train_model(data, tmp_path / "model.pth", dataset, options).checks
    assert checks[-1].loss < 0.7 * checks[0].loss
    assert checks[-1].miou > 0.5


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("model.onnx", "written as .pth or .safetensors"), ("file/model.pth", "cannot be created as a folder")],
)
def test_a_result_that_cannot_be_written_is_known_before_training(
    data: Path, dataset: datasets.Dataset, tmp_path: Path, name: str, complaint: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=complaint):
        train_model(data, tmp_path / name, dataset, OPTIONS)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"crop_hw": (32, 64)}, "`crop_hw` must be at least 64x64, got 32x64"),
        ({"epochs": 0}, "`epochs` must be above 0"),
        ({"minutes": -1}, "`minutes` must be above 0"),
        ({"averaging": 1.0}, "`averaging` must be from 0 to below 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(AfformerError, match=complaint):
        dataclasses.replace(OPTIONS, **wrong)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"scale": (2.0, 1.0)}, "`scale` must be two factors"),
        ({"paste": 1.5}, "`paste` must be a share"),
        ({"colour": -1}, "must not be negative"),
    ],
)
def test_changes_that_make_no_sense_are_refused(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(AfformerError, match=complaint):
        dataclasses.replace(OPTIONS.changes, **wrong)


def test_the_sheet_shows_eight_changed_pictures_with_their_labels(
    data: Path, dataset: datasets.Dataset, tmp_path: Path
) -> None:
    write_sheet(data, tmp_path / "sheet.png", dataset, OPTIONS)
    assert read_image(tmp_path / "sheet.png").shape == (4 * 68, 4 * 68, 3)


def test_the_rate_rises_and_falls_to_almost_nothing() -> None:
    rates = [rate(share / 100) for share in range(101)]
    assert max(rates) == pytest.approx(1, abs=0.01) == rates[4]
    assert rates[:5] == sorted(rates[:5])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] == pytest.approx(1e-3)
