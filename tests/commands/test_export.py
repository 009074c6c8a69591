from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from afformer import assets
from tests.builders.cli import STREET, error_of, run, run_without


def test_export_then_inspect_and_infer(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    result = run(
        "export", assets.CHECKPOINT, "-o", model, "--size", "96x128", "--input", "uint8", "--output", "classmap"
    )
    assert result.exit_code == 0, result.stderr
    assert result.output.splitlines()[-1] == f"next: afformer-cli infer {model} PICTURE -o DIR"
    facts = json.loads(run("inspect", model, "--json").stdout)
    assert facts["tensors"]["input"] == {"name": "image", "dtype": "uint8", "shape": [1, 96, 128, 3]}
    assert facts["tensors"]["output"] == {"name": "classmap", "dtype": "uint8", "shape": [1, 96, 128]}
    assert "Pedestrian" in run("inspect", model).output
    assert run("infer", model, STREET, "-o", tmp_path / "out").exit_code == 0
    small = cv2.resize(np.asarray(cv2.imread(str(STREET))), (128, 96))
    cv2.imwrite(str(tmp_path / "small.png"), small)
    agreement = run("compare", assets.CHECKPOINT, model, "--images", tmp_path / "small.png", "--json")
    assert json.loads(agreement.stdout)["pixel_agreement"] > 0.9995  # the checkpoint is run at 96x128, too
    assert "is a model for 96x128 only" in error_of(run("infer", model, STREET, "-o", tmp_path, "--size", "64x64"))
    assert "--output logits" in error_of(run("infer", model, STREET, "-o", tmp_path, "--fit", "slide"))


def test_export_without_torch_names_the_extra_to_install(tmp_path: Path) -> None:
    done = run_without(("torch",), "export", assets.CHECKPOINT, "-o", tmp_path / "m.onnx", "--size", "64x64")
    assert done.returncode == 1
    assert 'pip install "afformer[export]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_one_clear_line(tmp_path: Path) -> None:
    def refused(checkpoint: Path, name: str, size: str = "64x64") -> str:
        return error_of(run("export", checkpoint, "-o", tmp_path / name, "--size", size))

    assert "name the file .onnx" in refused(assets.CHECKPOINT, "m.bin")
    assert "must be at least 64" in refused(assets.CHECKPOINT, "m.onnx", "32x64")
    assert "no such checkpoint" in refused(tmp_path / "no.pth", "m.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", ["12", "axb", "64x", "-64x64", "64 x 64"])
def test_what_is_not_a_size_is_a_usage_error(size: str) -> None:
    result = run("export", "a.pth", "-o", "b.onnx", "--size", size)
    assert result.exit_code == 2
    assert "360x480" in result.stderr


def test_an_unreadable_verification_picture_is_reported_and_the_model_written(tmp_path: Path) -> None:
    pictures, model = tmp_path / "pictures", tmp_path / "m.onnx"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "a.png"), cv2.resize(np.asarray(cv2.imread(str(STREET))), (96, 64)))
    (pictures / "b.png").write_bytes(b"broken")
    wanted = ("export", assets.CHECKPOINT, "-o", model, "--size", "64x96", "--verify-images", pictures, "--json")
    done = run(*wanted)
    assert done.exit_code == 1
    assert model.is_file()
    found = json.loads(done.stdout)
    assert found["verification"]["pictures"] == 1
    assert found["failures"][0]["picture"].endswith("b.png")
    assert done.stderr.splitlines()[-1] == "Error: 1 picture could not be used"


def test_without_one_readable_verification_picture_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(b"broken")
    model = tmp_path / "m.onnx"
    done = run("export", assets.CHECKPOINT, "-o", model, "--size", "64x96", "--verify-images", tmp_path)
    assert "none of 1 verification pictures can be used" in error_of(done)
    assert not model.exists()


def test_the_export_says_where_normalisation_weights_and_names_are_from_and_the_model_honours_them(
    tmp_path: Path,
) -> None:
    model = tmp_path / "m.onnx"
    said = ("--mean", "103.53,116.28,123.675", "--std", "57.375,57.12,58.395", "--channel-order", "bgr")
    result = run("export", assets.CHECKPOINT, "-o", model, "--size", "96x128", "--input", "uint8", *said)
    assert result.exit_code == 0, result.stderr
    lines = result.output.splitlines()
    assert lines[0].startswith("normalisation: BGR, mean 103.53, 116.28, 123.675")
    assert "--mean and --std are given" in lines[0]
    assert lines[1] == "weights: at the top of the file"
    assert lines[2] == "class names: from the checkpoint, the names of CamVid"
    facts = json.loads(run("inspect", model, "--json").stdout)["spec"]
    assert (facts["color_order"], facts["mean"][0]) == ("BGR", 103.53)
    assert facts["provenance"]["weights"] == "at the top of the file"
    same = run("compare", assets.CHECKPOINT, model, "--images", STREET.parent, *said, "--json")
    assert json.loads(same.stdout)["pixel_agreement"] > 0.9995
    silent = tmp_path / "silent.safetensors"
    save_file(load_file(assets.CHECKPOINT), silent)
    other = run("compare", silent, model, "--images", STREET.parent, "--json")
    assert json.loads(other.stdout)["pixel_agreement"] < 0.99
    assert "normalisation: RGB, mean 123.675" in other.stderr
    assert "assumed, the checkpoint does not say" in other.stderr
    assert run("compare", assets.CHECKPOINT, model, "--images", STREET.parent, "--json").stderr == ""
    refused = error_of(run("infer", model, STREET, "-o", tmp_path, "--channel-order", "rgb"))
    assert "--channel-order can only be said of a checkpoint" in refused
