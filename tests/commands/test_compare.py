from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import onnx

from afformer import assets
from tests.builders.cli import error_of, run
from tests.builders.tiny_onnx import SPEC, write_tiny_onnx


def test_compare_takes_the_first_model_for_the_truth(labelled: tuple[Path, Path]) -> None:
    result = run("compare", assets.CHECKPOINT, assets.MODEL, "--images", labelled[0], "--json")
    assert 0.998 < json.loads(result.stdout)["pixel_agreement"] <= 1


def test_models_of_different_numbers_of_classes_cannot_be_compared(tmp_path: Path, labelled: tuple[Path, Path]) -> None:
    others = dataclasses.replace(SPEC, classes=SPEC.classes[:3], palette=SPEC.palette[:3])
    paths = write_tiny_onnx(tmp_path / "a.onnx"), write_tiny_onnx(tmp_path / "b.onnx", others)
    wrong = run("compare", *paths, "--images", labelled[0])
    assert "has 4 classes and" in error_of(wrong)
    assert "only models of the same classes can be compared" in error_of(wrong)


def test_models_of_two_sizes_are_compared_each_at_its_own(tmp_path: Path, labelled: tuple[Path, Path]) -> None:
    larger = dataclasses.replace(SPEC, input_hw=(128, 192))
    paths = write_tiny_onnx(tmp_path / "a.onnx"), write_tiny_onnx(tmp_path / "b.onnx", larger)
    found = json.loads(run("compare", *paths, "--images", labelled[0], "--json").stdout)
    assert 0.9 < found["pixel_agreement"] < 1
    assert found["note"] == ""


def test_other_names_of_the_classes_are_said(tmp_path: Path, labelled: tuple[Path, Path]) -> None:
    others = dataclasses.replace(SPEC, classes=("night", "evening", "dawn", "noon"))
    paths = write_tiny_onnx(tmp_path / "a.onnx"), write_tiny_onnx(tmp_path / "b.onnx", others)
    shown = run("compare", *paths, "--images", labelled[0]).stdout
    assert "100.000" in shown
    assert "2 of 4 names, such as class 1, 'dusk' in A and 'evening' in B; classes were matched by number" in shown


def test_classes_in_another_order_are_matched_by_name(tmp_path: Path, labelled: tuple[Path, Path]) -> None:
    turned = dataclasses.replace(SPEC, classes=SPEC.classes[::-1])
    write_tiny_onnx(tmp_path / "a.onnx")
    model = onnx.load(write_tiny_onnx(tmp_path / "b.onnx", turned))
    for weight in model.graph.initializer:
        weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight)[::-1].copy(), weight.name))
    onnx.save(model, tmp_path / "b.onnx")
    both = tmp_path / "a.onnx", tmp_path / "b.onnx"
    found = json.loads(
        run("compare", *both, "--images", labelled[0], "--json", "--html", tmp_path / "report.html").stdout
    )
    assert "100.00% agree" in (tmp_path / "report.html").read_text()
    assert found["pixel_agreement"] > 0.999
    assert found["note"].endswith("matched by name")


def test_a_report_shows_where_two_models_differ(tmp_path: Path, labelled: tuple[Path, Path]) -> None:
    larger = dataclasses.replace(SPEC, input_hw=(128, 192))
    paths = write_tiny_onnx(tmp_path / "a.onnx"), write_tiny_onnx(tmp_path / "b.onnx", larger)
    page = tmp_path / "report.html"
    assert run("compare", *paths, "--images", labelled[0], "--html", page).exit_code == 0
    assert page.read_text().count("% agree<") == 2
