from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from afformer import assets
from tests.builders.cli import error_of, run
from tests.builders.tiny_onnx import SPEC, write_tiny_onnx


def test_compare_takes_the_first_model_for_the_truth(labelled: tuple[Path, Path]) -> None:
    result = run("compare", assets.CHECKPOINT, assets.MODEL, "--images", labelled[0], "--json")
    assert 0.998 < json.loads(result.stdout)["pixel_agreement"] <= 1


def test_models_of_different_classes_cannot_be_compared(tmp_path: Path, labelled: tuple[Path, Path]) -> None:
    others = dataclasses.replace(SPEC, classes=("one", "two", "three", "four"))
    paths = write_tiny_onnx(tmp_path / "a.onnx"), write_tiny_onnx(tmp_path / "b.onnx", others)
    wrong = run("compare", *paths, "--images", labelled[0])
    assert "only models of the same classes can be compared" in error_of(wrong)
