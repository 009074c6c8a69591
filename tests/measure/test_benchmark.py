from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from afformer import assets
from afformer.errors import AfformerError, BackendError
from afformer.measure.benchmark import Benchmark, Profile, aligned, benchmark
from afformer.measure.timing import Contender
from afformer.spec import OutputKind
from tests.builders.tiny_onnx import SPEC, write_tiny_onnx

PICTURE = assets.pictures()[0]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    batches = dataclasses.replace(SPEC, batch=2, output=OutputKind.CLASSMAP)
    return write_tiny_onnx(folder / "one.onnx"), write_tiny_onnx(folder / "two_a_call.onnx", batches)


@pytest.fixture(scope="module")
def report(models: tuple[Path, Path]) -> Benchmark:
    one, two = models
    contenders = [Contender(one, threads=1), Contender(one, "onnxruntime", 2), Contender(two, threads=1)]
    return benchmark(contenders, PICTURE, calls=6, profile=True, accuracy=lambda contender: 0.5)


def test_every_contender_has_a_row_in_order_and_the_first_is_the_reference(report: Benchmark) -> None:
    assert [row.contender.threads for row in report.rows] == [1, 2, 1]
    assert report.rows[0].ratio == (1, 1, 1)
    assert all(low <= middle <= high for middle, low, high in (row.ratio for row in report.rows))


def test_calls_are_rounded_up_to_whole_bursts(report: Benchmark) -> None:
    assert report.calls == 10


def test_times_are_those_of_the_parts_of_segmenting_a_picture(report: Benchmark) -> None:
    for row in report.rows:
        assert 0 < row.inference.p50 <= row.inference.p90 <= row.inference.p99
        assert min(row.preprocess, row.postprocess, row.load_seconds) > 0
        assert row.pictures_per_second > 0


def test_a_row_says_what_the_model_is(report: Benchmark, models: tuple[Path, Path]) -> None:
    first, _, last = report.rows
    assert (first.name, first.backend, first.precision, first.input_hw) == ("one.onnx", "onnxruntime", "fp32", (64, 96))
    assert (first.batch, last.batch) == (1, 2)
    assert first.file_bytes == models[0].stat().st_size
    assert first.engine.startswith("ONNX Runtime")


def test_peak_memory_is_the_workers_own(models: tuple[Path, Path]) -> None:
    ballast = bytearray(400_000_000)
    (row,) = benchmark([Contender(models[0], threads=1)], PICTURE, calls=1).rows
    assert row.peak_bytes is not None
    assert 20e6 < row.peak_bytes < len(ballast)


def test_a_model_is_profiled_once_on_an_engine(report: Benchmark) -> None:
    first, again, other = (row.profile for row in report.rows)
    assert again is None
    assert first is not None
    assert other is not None
    assert any(operator.kind == "Conv" for operator in first.dearest)
    assert 0 < sum(operator.seconds for operator in first.dearest) <= first.total * 1.001


def test_accuracy_is_asked_once_for_all_thread_counts(models: tuple[Path, Path]) -> None:
    asked: list[Contender] = []

    def accuracy(contender: Contender) -> float:
        asked.append(contender)
        return len(asked) / 10

    contenders = [Contender(path, threads=threads) for path in models for threads in (1, 2)]
    report = benchmark(contenders, PICTURE, calls=1, accuracy=accuracy)
    assert [row.miou for row in report.rows] == [0.1, 0.1, 0.2, 0.2]
    assert len(asked) == 2


def test_the_table_has_a_line_a_row_and_names_machine_and_picture(report: Benchmark) -> None:
    table = report.to_table()
    lines = table.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("model "))
    assert [line.split()[0] for line in lines[start + 2 : start + 5]] == ["one.onnx", "one.onnx", "two_a_call.onnx"]
    assert len({len(line) for line in lines[start + 2 : start + 5]}) == 1
    assert "50.00" in lines[start + 2]
    assert table.startswith(report.machine.to_text())
    assert PICTURE.name in table
    assert "dearest operators of one.onnx on ONNX Runtime" in table


def test_json_holds_the_same_in_seconds(report: Benchmark) -> None:
    told = json.loads(json.dumps(report.to_json()))
    first = told["rows"][0]
    assert first["inference"]["p90"] == report.rows[0].inference.p90
    assert (first["threads"], first["miou"], first["input_hw"]) == (1, 0.5, [64, 96])
    assert first["path"].endswith("one.onnx")
    assert set(first["profile"]["dearest"][0]) == {"name", "kind", "seconds"}
    assert told["machine"]["packages"]["numpy"]


def test_an_engine_without_a_profile_is_a_line_in_the_table(report: Benchmark) -> None:
    row = dataclasses.replace(report.rows[0], profile=Profile(missing="pytorch does not tell"))
    assert "one.onnx: pytorch does not tell" in dataclasses.replace(report, rows=(row,)).to_table()


def test_without_labels_there_is_no_accuracy_column(report: Benchmark) -> None:
    rows = tuple(dataclasses.replace(row, miou=None, peak_bytes=None) for row in report.rows)
    assert "mIoU" not in dataclasses.replace(report, rows=rows).to_table()


def test_columns_are_aligned_to_the_right_but_for_names() -> None:
    assert aligned([["model", "ms"], ["a", "10"], ["bcdefg", "5"]]) == [
        "model   ms",
        "----------",
        "a       10",
        "bcdefg   5",
    ]


def test_progress_counts_rounds(models: tuple[Path, Path]) -> None:
    seen: list[tuple[int, int]] = []
    benchmark([Contender(models[0])], PICTURE, calls=6, seen=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_a_picture_that_is_not_there_is_named(models: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(AfformerError, match=r"nowhere\.jpg"):
        benchmark([Contender(models[0])], tmp_path / "nowhere.jpg", calls=1)


def test_a_checkpoint_runs_at_the_size_that_is_asked_for() -> None:
    pytest.importorskip("torch")
    (row,) = benchmark(
        [Contender(assets.CHECKPOINT, threads=1, input_hw=(64, 96))], PICTURE, calls=1, profile=True
    ).rows
    assert (row.backend, row.input_hw) == ("pytorch", (64, 96))
    assert row.profile == Profile(
        missing="pytorch does not tell what single operators cost; onnxruntime and openvino do"
    )


def test_a_plugin_brings_its_own_backend(
    models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "from afformer.runtime.backends.registry import Registration, register\nregister('mine', Registration('{}'))\n"
    )
    target = "afformer.runtime.backends.onnxruntime:OnnxRuntimeBackend"
    (tmp_path / "my_engines.py").write_text(text.format(target))
    monkeypatch.syspath_prepend(str(tmp_path))
    (row,) = benchmark([Contender(models[0], "mine", plugin="my_engines")], PICTURE, calls=1).rows
    assert row.backend == "mine"
    with pytest.raises(BackendError, match="unknown backend 'mine'"):
        benchmark([Contender(models[0], "mine")], PICTURE, calls=1)
