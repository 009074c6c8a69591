"""The whole way of the bundled model to INT8, as a user goes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from afformer import assets
from tests.builders.cli import STREET, error_of, run


@pytest.fixture(scope="module")
def float_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tmp_path_factory.mktemp("float") / "model.onnx"
    assert run("export", assets.CHECKPOINT, "-o", model, "--size", "180x240").exit_code == 0
    return model


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in assets.pictures():
        (folder / path.name).symlink_to(path)
    return folder


def test_bundled_model_becomes_a_small_int8_model_that_agrees_with_float(
    tmp_path: Path, float_model: Path, pictures: Path
) -> None:
    small = tmp_path / "small.onnx"
    any_drop = ("--max-drop", "inf", "--allow-slower")
    done = run("quantize", float_model, "--calibration", pictures, "-o", small, *any_drop, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["written"] is True
    # The speed pass may keep a few units in float, as the machine's load has it.
    assert small.stat().st_size < 0.45 * float_model.stat().st_size
    spec = json.loads(run("inspect", small, "--json").stdout)["spec"]
    assert (spec["precision"], spec["target"]) == ("int8", "x86")
    assert "int8 for x86" in run("inspect", small).stdout
    agreement = json.loads(run("compare", float_model, small, "--images", pictures, "--json").stdout)
    assert agreement["pixel_agreement"] > 0.97
    assert run("infer", small, STREET, "-o", tmp_path / "out").exit_code == 0
    report = (tmp_path / "small.report.html").read_text()
    assert "http" not in report.replace("http://www.w3.org/2000/svg", "")
    assert (tmp_path / "small.ranges.json").is_file()


def test_model_that_loses_more_than_allowed_is_not_written_and_says_why(
    tmp_path: Path, float_model: Path, pictures: Path
) -> None:
    small = tmp_path / "small.onnx"
    limits = ("--max-drop", "0", "--budget", "1", "--allow-slower")
    *steps, error = run("quantize", float_model, "--calibration", pictures, "-o", small, *limits).stderr.splitlines()
    assert {"reading pictures", "calibration", "noise of each unit"} <= set(steps)  # without a terminal, a line each
    assert len(steps) == len(set(steps))
    assert "Too inaccurate" in error
    assert "was not written" in error
    assert not small.exists()
    assert (tmp_path / "small.report.json").is_file()


def test_what_cannot_be_quantized_is_one_line(tmp_path: Path, float_model: Path, pictures: Path) -> None:
    small = tmp_path / "small.onnx"
    wrong = run("quantize", assets.MODEL, "--calibration", pictures, "-o", small)
    assert "is fp16, expected fp32" in error_of(wrong)
    nowhere = run("quantize", float_model, "--calibration", tmp_path / "nowhere", "-o", small)
    assert "nowhere" in error_of(nowhere)
    alone = run("quantize", float_model, "--calibration", pictures, "-o", small, "--val-labels", pictures)
    assert "--val-images" in error_of(alone)
    assert not small.exists()


def test_an_unreadable_validation_picture_is_reported_and_the_model_written(
    tmp_path: Path, float_model: Path, pictures: Path
) -> None:
    small, validation = tmp_path / "small.onnx", tmp_path / "validation"
    validation.mkdir()
    (validation / "a.jpg").symlink_to(STREET)
    (validation / "b.jpg").write_bytes(b"broken")
    files = ("--calibration", pictures, "--val-images", validation, "-o", small)
    done = run("quantize", float_model, *files, "--allow-slower", "--allow-drop", "--json")
    assert done.exit_code == 1
    assert small.is_file()
    assert json.loads(done.stdout)["failures"][0]["picture"].endswith("b.jpg")
    assert done.stderr.splitlines()[-1] == "Error: 1 picture could not be used"


def test_the_model_itself_is_never_the_output(float_model: Path, pictures: Path) -> None:
    before = float_model.read_bytes()
    assert "is not overwritten" in error_of(run("quantize", float_model, "--calibration", pictures, "-o", float_model))
    assert float_model.read_bytes() == before
