from __future__ import annotations

import json
from pathlib import Path

from afformer import assets
from tests.builders.cli import error_of, run
from tests.builders.foreign_onnx import classes_of, write_foreign_onnx
from tests.builders.tiny_onnx import without_metadata, write_tiny_onnx


def test_the_text_tells_tensors_origin_and_classes() -> None:
    told = run("inspect", assets.MODEL).stdout
    assert told.startswith(f"{assets.MODEL}: AFFormer-tiny, fp16, ")
    assert "input       image: float32 1x3x360x480" in told
    assert "data set    camvid, 11 classes" in told
    assert "Pedestrian #404000" in told


def test_files_that_are_not_models_are_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "zero.onnx").touch()
    assert "zero.onnx" in error_of(run("inspect", tmp_path / "zero.onnx"))
    assert "no such model file" in error_of(run("inspect", tmp_path / "none.onnx"))
    assert "no backend opens '.txt'" in error_of(run("inspect", tmp_path / "model.txt"))


def test_a_model_without_our_metadata_says_how_to_get_it(tmp_path: Path) -> None:
    bare = without_metadata(write_tiny_onnx(tmp_path / "bare.onnx"))
    assert "afformer-cli export" in error_of(run("inspect", bare))


def test_a_spec_is_drafted_from_a_graph_and_then_opens_the_model(tmp_path: Path) -> None:
    bare, spec = write_foreign_onnx(tmp_path / "bare.onnx", "logits at full size"), tmp_path / "new" / "spec.json"
    done = run("inspect", bare, "--write-spec", spec, "--mean", "0,0,0", "--std", "255,255,255")
    assert done.exit_code == 0, done.stderr
    assert "a model of unknown make" in done.stdout
    assert 'class names: "class 0" to "class 3"' in done.stderr
    assert "--channel-order" in done.stderr
    fields = json.loads(spec.read_text())
    assert (fields["stride"], fields["input_name"], fields["output_name"]) == (1, "picture", "scores")
    assert (fields["mean"], fields["input_hw"]) == ([0, 0, 0], [64, 96])
    assert "picture: float32 1x3x64x96" in run("inspect", bare, "--spec", spec).stdout
    assert run("infer", bare, assets.pictures()[0], "--spec", spec, "-o", tmp_path / "out").exit_code == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_what_a_graph_does_not_tell_must_be_said(tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    bare = write_foreign_onnx(tmp_path / "open.onnx", "open lengths, ids")
    assert "say which one to run it at in --size" in error_of(run("inspect", bare, "--write-spec", spec))
    sized = ("inspect", bare, "--write-spec", spec, "--size", "64x96")
    assert "name them in --classes" in error_of(run(*sized))
    assert not spec.exists()
    (tmp_path / "names.txt").write_text("night\ndusk\ndawn\nday\n")
    done = run(*sized, "--classes", tmp_path / "names.txt", "--json")
    assert json.loads(done.stdout)["spec"]["classes"] == ["night", "dusk", "dawn", "day"]


def test_a_models_own_spec_is_written_and_fits_it(tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    done = run("inspect", assets.MODEL, "--write-spec", spec)
    assert (done.exit_code, done.stderr) == (0, f"wrote {spec}\n")
    assert run("inspect", assets.MODEL, "--spec", spec).exit_code == 0
    fields = json.loads(spec.read_text())
    spec.write_text(json.dumps({**fields, "std": [1, 1, 1]}))
    assert "has a spec of its own, in which std is" in error_of(run("inspect", assets.MODEL, "--spec", spec))


def test_models_with_and_without_a_spec_are_compared_and_timed_together(tmp_path: Path) -> None:
    own, bare = write_tiny_onnx(tmp_path / "own.onnx"), write_foreign_onnx(tmp_path / "b.onnx", "logits at an eighth")
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(classes_of()))
    images = assets.pictures()[0].parent
    told = run("compare", own, bare, "--images", images, "--spec", spec, "--json")
    assert json.loads(told.stdout)["pixel_agreement"] == 1
    timed = run("benchmark", own, bare, "--spec", spec, "--calls", "1", "--json")
    assert timed.exit_code == 0, timed.stderr
