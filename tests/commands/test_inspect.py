from __future__ import annotations

from pathlib import Path

from afformer import assets
from tests.builders.cli import error_of, run
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
