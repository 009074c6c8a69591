"""From ONNX file to engine to class map, as a user goes it, on a pretended TensorRT and GPU."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from afformer import assets
from afformer.files import sha256
from afformer.images import read_label
from afformer.tensorrt.engine_info import EngineInfo
from tests.builders.cli import STREET, error_of, run, run_without
from tests.builders.foreign_onnx import classes_of, write_foreign_onnx
from tests.builders.small_onnx import write_pictures
from tests.builders.tensorrt_onnx import float_model, int8_model, integer_model
from tests.builders.tiny_onnx import SPEC
from tests.nvidia.pretend import Machine, machine_with_gpu, machine_without
from tests.nvidia.pretend_cuda import PretendCuda
from tests.nvidia.pretend_tensorrt import Quirks


@pytest.fixture
def machine() -> Iterator[Machine]:
    with machine_with_gpu() as pretended:
        yield pretended


def test_the_bundled_model_becomes_an_engine_that_sees_the_same(tmp_path: Path, machine: Machine) -> None:
    engine = tmp_path / "model.engine"
    done = run("engine", assets.MODEL, "-o", engine)
    assert done.exit_code == 0, done.stderr
    assert "108 of 108 convolutions in fp16" in done.stdout
    assert f"next: afformer-cli infer {engine} PICTURE -o DIR" in done.stdout
    masks = []
    for model, device in ((assets.MODEL, "cpu"), (engine, "cuda")):
        out = tmp_path / device
        assert run("infer", model, STREET, "-o", out, "--write", "mask", "--device", device).exit_code == 0
        masks.append(read_label(next(out.iterdir())))
    assert (masks[0] == masks[1]).mean() > 0.999
    facts = json.loads(run("inspect", engine, "--device", "cuda", "--json").stdout)
    assert facts["spec"] == json.loads(run("inspect", assets.MODEL, "--json").stdout)["spec"]


def test_half_precision_is_made_of_the_float_model(tmp_path: Path, machine: Machine) -> None:
    model, engine = float_model(tmp_path), tmp_path / "model.engine"
    done = run("engine", model, "-o", engine, "--precision", "fp16", "--json")
    report = json.loads(done.stdout)
    assert report["precision"] == "fp16"
    assert report["network"] == {"layers": report["network"]["layers"], "convolutions": 1, "asked": 1}
    assert EngineInfo.beside(engine).source_sha256 == sha256(model)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.engine", "model.engine.json", "model.onnx"]


@pytest.mark.parametrize(
    ("form", "more"),
    [
        ("logits at an eighth", {}),
        ("logits at full size", {"stride": 1}),
        ("open lengths", {}),
        ("ids of 64 bits", {"output": "classmap"}),
    ],
)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_model_of_others_becomes_an_engine_that_sees_the_same(
    tmp_path: Path, machine: Machine, form: str, more: dict[str, object], precision: str
) -> None:
    model, spec, engine = write_foreign_onnx(tmp_path / "theirs.onnx", form), tmp_path / "a.json", tmp_path / "a.engine"
    spec.write_text(json.dumps(classes_of() | more))
    assert "--spec" in error_of(run("engine", model, "-o", engine, "--precision", precision))
    done = run("engine", model, "-o", engine, "--precision", precision, "--spec", spec)
    assert done.exit_code == 0, done.stderr
    assert EngineInfo.beside(engine).spec.classes == SPEC.classes
    masks = []
    for arguments in ((model, "--spec", spec), (engine, "--device", "cuda")):
        out = tmp_path / arguments[0].stem
        assert run("infer", arguments[0], STREET, "-o", out, "--write", "mask", *arguments[1:]).exit_code == 0
        masks.append(read_label(next(out.iterdir())))
    assert (masks[0] == masks[1]).mean() > 0.99


def test_int8_is_made_of_the_float_model_and_pictures_and_kept_with_its_report(
    tmp_path: Path, machine: Machine
) -> None:
    model, engine = float_model(tmp_path), tmp_path / "small.engine"
    write_pictures(tmp_path / "pictures", 2)
    done = run("engine", model, "-o", engine, "--precision", "int8", "--images", tmp_path / "pictures")
    assert done.exit_code == 0, done.stderr
    assert "1 of 1 convolutions in int8" in done.stdout
    assert "afformer-cli benchmark FP16.engine" in done.stdout
    assert "of pixels have the float model's class" in done.stdout
    file = EngineInfo.beside(engine)
    assert (file.source, file.spec.precision.value) == ("model.onnx", "int8")
    assert (tmp_path / "small.engine.int8.report.html").is_file()
    again = run("engine", tmp_path / "small.engine.int8.onnx", "-o", tmp_path / "again.engine", "--json")
    assert json.loads(again.stdout)["plan"]["sha256"] == file.engine_sha256


def test_what_int8_cost_is_in_the_json_and_models_that_were_there_are_left_alone(
    tmp_path: Path, machine: Machine
) -> None:
    model, theirs = float_model(tmp_path), tmp_path / "model.int8.onnx"
    theirs.write_text("what quantize made of the same model")
    write_pictures(tmp_path / "pictures", 2)
    made = ("--precision", "int8", "--images", tmp_path / "pictures", "--json")
    done = run("engine", model, "-o", tmp_path / "model.engine", *made)
    report = json.loads(done.stdout)
    assert report["quantized"]["bargain"]["measure"] == "pixel agreement"
    assert report["quantized"]["after"]["path"] == str(tmp_path / "model.engine.int8.onnx")
    assert theirs.read_text() == "what quantize made of the same model"
    as_it_is = run("engine", model, "-o", tmp_path / "float.engine", "--json")
    assert json.loads(as_it_is.stdout)["quantized"] is None


def test_int8_that_loses_more_than_it_may_becomes_no_engine_unless_that_is_allowed(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, engine = float_model(tmp_path), tmp_path / "model.engine"
    monkeypatch.setattr("afformer.quantize.accuracy.Evaluator.drop", lambda *_: 3.0)
    write_pictures(tmp_path / "pictures", 2)
    made = ("engine", model, "-o", engine, "--precision", "int8", "--images", tmp_path / "pictures")
    assert "--allow-drop" in error_of(run(*made, "--max-drop", 2))
    assert not engine.exists()
    assert run(*made, "--max-drop", 2, "--allow-drop").exit_code == 0
    assert engine.is_file()
    for option in (("--max-drop", 2), ("--allow-drop",)):
        refused = run("engine", model, "-o", engine, *option)
        assert (refused.exit_code, "--images" in refused.stderr) == (2, True)


@pytest.mark.parametrize("place", ["model.engine.json", "kernels.cache", "unreadable"])
def test_places_are_looked_at_before_the_calibration(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    model = float_model(tmp_path)
    if place == "unreadable":
        os.mknod(tmp_path / place, stat.S_IFSOCK)  # nobody can open it, not even root
    else:
        (tmp_path / place).mkdir()
    write_pictures(tmp_path / "pictures", 2)
    monkeypatch.setattr("afformer.quantize.quantize_model.quantize_model", lambda *_, **__: pytest.fail("too early"))
    options = ["--precision", "int8", "--images", tmp_path / "pictures"]
    if place != "model.engine.json":
        options += ["--timing-cache", tmp_path / place]
    assert f"{place}: " in error_of(run("engine", model, "-o", tmp_path / "model.engine", *options))


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        (float_model, ("--precision", "int8"), "INT8 needs pictures to calibrate on; name a folder"),
        (float_model, ("--images", "x"), "leave them out, or ask for int8"),
        (int8_model, ("--precision", "fp32"), "is int8, and no fp32 can be made of it"),
        (int8_model, ("--precision", "int8", "--images", "x"), "calibration pictures make INT8 of a float32 model"),
        (integer_model, (), "--target tensorrt"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_writes_nothing(
    tmp_path: Path, machine: Machine, model: object, options: tuple[str, ...], said: str
) -> None:
    path = model(tmp_path)  # type: ignore[operator]
    before = sorted(tmp_path.iterdir())
    assert said in error_of(run("engine", path, "-o", tmp_path / "e.engine", *options))
    assert sorted(tmp_path.iterdir()) == before


def test_missing_things_are_one_line_with_what_to_install(tmp_path: Path) -> None:
    model, engine = float_model(tmp_path), tmp_path / "model.engine"
    with machine_without():
        assert "run `pip install tensorrt onnx" in error_of(run("engine", model, "-o", engine))
        assert "run `pip install tensorrt-rtx-cu13-libs" in error_of(run("engine", model, "-o", engine, "--rtx"))
    with machine_with_gpu(), machine_without("cuda", "cuda.bindings", "cuda.bindings.runtime"):
        assert "needs the Python module 'cuda" in error_of(run("engine", model, "-o", engine))
    with machine_with_gpu(cuda=PretendCuda(driver=None)):
        assert "no NVIDIA GPU can be used here" in error_of(run("engine", model, "-o", engine))
    with machine_with_gpu(Quirks(no_build="no tactic for layer 3")):
        assert "no tactic for layer 3" in error_of(run("engine", model, "-o", engine))
    assert not engine.exists()


def test_wrong_names_and_options_are_told_before_anything_is_done(tmp_path: Path, machine: Machine) -> None:
    model = float_model(tmp_path)
    assert "name the file .engine or .plan" in error_of(run("engine", model, "-o", tmp_path / "model.trt"))
    assert "no such model file" in error_of(run("engine", tmp_path / "no.onnx", "-o", tmp_path / "m.engine"))
    assert "--version-compatible is for TensorRT" in error_of(
        run("engine", model, "-o", tmp_path / "m.engine", "--rtx", "--version-compatible")
    )
    assert run("engine", model, "-o", tmp_path / "m.engine", "--workspace", "0").exit_code == 2
    assert run("engine", model, "-o", tmp_path / "m.engine", "--precision", "bf16").exit_code == 2


def test_an_engine_runs_on_the_gpu_without_being_told_and_on_no_cpu(tmp_path: Path, machine: Machine) -> None:
    engine = tmp_path / "model.engine"
    run("engine", float_model(tmp_path), "-o", engine)
    done = run("infer", engine, STREET, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert "TensorRT" in done.stdout
    assert "--device cuda" in error_of(run("infer", engine, STREET, "-o", tmp_path / "out", "--device", "cpu"))


def test_an_engine_is_inspected_without_its_gpu(tmp_path: Path) -> None:
    engine = tmp_path / "model.engine"
    with machine_with_gpu():
        run("engine", float_model(tmp_path), "-o", engine)
    done = run("inspect", engine, "--json")
    assert done.exit_code == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["engine"].startswith("TensorRT ")
    assert facts["tensors"]["output"]["name"] == "logits"
    engine.unlink()
    assert "model.engine: no such engine file" in error_of(run("inspect", engine))


def test_without_onnx_the_extra_is_named(tmp_path: Path) -> None:
    done = run_without(("onnx",), "engine", assets.MODEL, "-o", tmp_path / "m.engine")
    assert done.returncode == 1
    assert 'pip install "afformer[tensorrt]"' in done.stderr
    assert "Traceback" not in done.stderr
