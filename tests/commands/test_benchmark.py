from __future__ import annotations

import json
from pathlib import Path

from afformer import assets
from tests.builders.cli import STREET, error_of, run


def test_benchmark_shows_speed_memory_size_and_accuracy_in_one_table(labelled: tuple[Path, Path]) -> None:
    images, labels = labelled
    arguments = ("benchmark", assets.MODEL, "--threads", "1,2", "--calls", "5", "--profile", "--image", STREET)
    told = run(*arguments, "--images", images, "--labels", labels)
    assert told.exit_code == 0
    rows = [line.split() for line in told.stdout.splitlines() if line.startswith(f"{assets.MODEL.name} ")]
    assert [row[3] for row in rows] == ["1", "2"]
    assert [row[-1] for row in rows] == ["100.00", "100.00"]
    assert "slowest operators" in told.stdout
    assert STREET.name in told.stdout


def test_benchmark_json_has_a_row_for_each_model_and_backend() -> None:
    result = run("benchmark", assets.MODEL, assets.MODEL, "--backend", "onnxruntime", "--calls", "1", "--json")
    report = json.loads(result.stdout)
    assert [row["backend"] for row in report["rows"]] == ["onnxruntime"] * 2
    assert report["rows"][0]["ratio"] == [1, 1, 1]
    assert report["machine"]["cpu"]


def test_benchmark_refuses_what_it_cannot_measure(tmp_path: Path) -> None:
    assert "nowhere.onnx" in error_of(run("benchmark", tmp_path / "nowhere.onnx", "--calls", "1"))
    assert "unknown backend 'nonsense'" in error_of(run("benchmark", assets.MODEL, "--backend", "nonsense"))
    assert "for 360x480 only" in error_of(run("benchmark", assets.MODEL, "--size", "64x64"))
    for wrong in (("--threads", "1,x"), ("--threads", ""), ("--images", tmp_path), ("--calls", "0")):
        assert run("benchmark", assets.MODEL, *wrong).exit_code == 2
