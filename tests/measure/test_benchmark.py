from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from afformer import assets
from afformer.errors import AfformerError, BackendError, ImageError
from afformer.measure.benchmark import Labelled, benchmark_models, cases_of
from afformer.measure.benchmark_report import Benchmark, Profile
from afformer.measure.results import Evaluation
from afformer.measure.timing import Case
from afformer.runtime.choices import Device
from afformer.runtime.opening import OpenOptions
from afformer.spec import OutputKind
from tests.builders.tiny_onnx import SPEC, write_tiny_onnx

PICTURE = assets.pictures()[0]
ONE_THREAD = OpenOptions(threads=1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    batches = dataclasses.replace(SPEC, batch=2, output=OutputKind.CLASSMAP)
    return write_tiny_onnx(folder / "one.onnx"), write_tiny_onnx(folder / "two_a_call.onnx", batches)


@pytest.fixture(scope="module")
def report(models: tuple[Path, Path]) -> Benchmark:
    one, two = models
    cases = [Case(one, ONE_THREAD), Case(one, OpenOptions("onnxruntime", threads=2)), Case(two, ONE_THREAD)]
    return benchmark_models(cases, PICTURE, calls=6, profile=True)


def test_every_case_has_a_row_in_order_and_the_first_is_the_reference(report: Benchmark) -> None:
    assert [row.case.open_options.threads for row in report.rows] == [1, 2, 1]
    assert report.rows[0].ratio == (1, 1, 1)
    assert all(low <= middle <= high for middle, low, high in (row.ratio for row in report.rows))


def test_calls_are_rounded_up_to_whole_bursts(report: Benchmark) -> None:
    assert report.calls == 10


def test_times_are_those_of_the_parts_of_segmenting_a_picture(report: Benchmark) -> None:
    for row in report.rows:
        assert 0 < row.inference.p50 <= row.inference.p90 <= row.inference.p99
        assert min(row.preprocess, row.postprocess, row.facts.load_seconds) > 0
        assert row.pictures_per_second > 0


def test_a_row_says_what_the_model_is(report: Benchmark, models: tuple[Path, Path]) -> None:
    first, _, last = report.rows
    facts = first.facts
    assert (first.name, facts.backend, facts.precision, facts.input_hw) == ("one.onnx", "onnxruntime", "fp32", (64, 96))
    assert (facts.batch, last.facts.batch) == (1, 2)
    assert first.file_bytes == models[0].stat().st_size
    assert facts.description.startswith("ONNX Runtime")


def test_peak_memory_is_the_workers_own(models: tuple[Path, Path]) -> None:
    ballast = bytearray(400_000_000)
    (row,) = benchmark_models([Case(models[0], ONE_THREAD)], PICTURE, calls=1).rows
    assert row.facts.peak_bytes is not None
    assert 20e6 < row.facts.peak_bytes < len(ballast)


def test_a_model_is_profiled_once_on_a_backend(report: Benchmark) -> None:
    first, again, other = (row.facts.profile for row in report.rows)
    assert again is None
    assert first is not None
    assert other is not None
    assert any(operator.kind == "Conv" for operator in first.slowest)
    assert 0 < sum(operator.seconds for operator in first.slowest) <= first.total * 1.001


def test_every_model_is_combined_with_every_backend_and_number_of_threads() -> None:
    paths = Path("a.onnx"), Path("b.onnx")
    cases = cases_of(paths, backends=("x", "y"), threads=(1, 2), open_options=OpenOptions(device=Device.CUDA))
    assert [(case.path.stem, case.open_options.backend, case.open_options.threads) for case in cases[:4]] == [
        ("a", "x", 1),
        ("a", "x", 2),
        ("a", "y", 1),
        ("a", "y", 2),
    ]
    assert len(cases) == 8
    assert {case.open_options.device for case in cases} == {Device.CUDA}
    assert cases_of(paths) == [Case(path) for path in paths]


def test_accuracy_is_measured_once_for_all_thread_counts(
    models: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Path] = []

    def evaluate(model: Path, *_: object, **__: object) -> Evaluation:
        measured.append(model)
        return Evaluation(len(measured) / 10, {}, 1.0, 1)

    monkeypatch.setattr("afformer.measure.benchmark.evaluate_model", evaluate)
    report = benchmark_models(
        cases_of(models, threads=(1, 2)), PICTURE, calls=1, labelled=Labelled(Path("images"), Path("labels"))
    )
    assert [row.miou for row in report.rows] == [0.1, 0.1, 0.2, 0.2]
    assert measured == list(models)
    assert "mIoU %" in report.to_table()
    assert report.to_json()["rows"][3]["miou"] == 0.2


def test_an_unreadable_picture_is_reported_and_left_out(
    models: tuple[Path, Path], greys: list[tuple[Path, Path]]
) -> None:
    images, labels = (greys[0][0].parent / name for name in ("images", "labels"))
    for (picture, label), name in zip(greys[3:5], ("a.png", "b.png"), strict=True):
        images.mkdir(exist_ok=True)
        labels.mkdir(exist_ok=True)
        picture.rename(images / name)
        label.rename(labels / name)
    report = benchmark_models([Case(models[0])], PICTURE, calls=1, labelled=Labelled(images, labels))
    assert [failure.picture.name for failure in report.failures] == ["b.png"]
    assert report.rows[0].miou is not None
    (images / "a.png").write_bytes(b"broken")
    with pytest.raises(ImageError, match=r"none of 2 pictures can be used; the first: .*a\.png"):
        benchmark_models([Case(models[0])], PICTURE, calls=1, labelled=Labelled(images, labels))


def test_the_table_has_a_line_a_row_and_names_machine_and_picture(report: Benchmark) -> None:
    table = report.to_table()
    lines = table.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("model "))
    assert [line.split()[0] for line in lines[start + 2 : start + 5]] == ["one.onnx", "one.onnx", "two_a_call.onnx"]
    assert len({len(line) for line in lines[start + 2 : start + 5]}) == 1
    assert table.startswith(report.machine.to_text())
    assert PICTURE.name in table
    assert "slowest operators of one.onnx on ONNX Runtime" in table


def test_json_holds_the_same_in_seconds(report: Benchmark) -> None:
    told = json.loads(json.dumps(report.to_json()))
    first = told["rows"][0]
    assert first["inference"]["p90"] == report.rows[0].inference.p90
    assert (first["threads"], first["miou"], first["input_hw"]) == (1, None, [64, 96])
    assert first["path"].endswith("one.onnx")
    assert set(first["profile"]["dearest"][0]) == {"name", "kind", "seconds"}
    assert told["machine"]["packages"]["numpy"]


def test_a_backend_without_a_profile_is_a_line_in_the_table(report: Benchmark) -> None:
    first = report.rows[0]
    facts = dataclasses.replace(first.facts, profile=Profile(missing="pytorch does not measure"), peak_bytes=None)
    table = dataclasses.replace(report, rows=(dataclasses.replace(first, facts=facts),)).to_table()
    assert "one.onnx: pytorch does not measure" in table


def test_without_labels_there_is_no_accuracy_column(report: Benchmark) -> None:
    assert "mIoU" not in report.to_table()


def test_a_case_with_a_name_is_called_by_it(models: tuple[Path, Path]) -> None:
    report = benchmark_models([Case(models[0], name="ours")], PICTURE, calls=1)
    assert report.to_json()["rows"][0]["name"] == "ours"
    assert "\nours " in report.to_table()


def test_progress_counts_rounds(models: tuple[Path, Path]) -> None:
    told: list[tuple[str, int, int]] = []
    benchmark_models([Case(models[0])], PICTURE, calls=6, progress=lambda *what: told.append(what))
    assert told == [("rounds", 0, 2), ("rounds", 1, 2), ("rounds", 2, 2)]


def test_a_picture_that_is_not_there_is_named(models: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(AfformerError, match=r"nowhere\.jpg"):
        benchmark_models([Case(models[0])], tmp_path / "nowhere.jpg", calls=1)


def test_a_checkpoint_runs_at_the_size_that_is_asked_for() -> None:
    pytest.importorskip("torch")
    case = Case(assets.CHECKPOINT, OpenOptions(threads=1, input_hw=(64, 96)))
    (row,) = benchmark_models([case], PICTURE, calls=1, profile=True).rows
    assert (row.facts.backend, row.facts.input_hw) == ("pytorch", (64, 96))
    assert row.facts.profile == Profile(
        missing="pytorch does not measure single operators; onnxruntime and openvino do"
    )


def test_a_plugin_brings_its_own_backend(
    models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "from afformer.runtime.backends.registry import Registration, register\nregister('mine', Registration('{}'))\n"
    )
    target = "afformer.runtime.backends.onnxruntime:OnnxRuntimeBackend"
    (tmp_path / "my_backends.py").write_text(text.format(target))
    monkeypatch.syspath_prepend(str(tmp_path))
    mine = OpenOptions("mine")
    (row,) = benchmark_models([Case(models[0], mine, plugin="my_backends")], PICTURE, calls=1).rows
    assert row.facts.backend == "mine"
    with pytest.raises(BackendError, match="unknown backend 'mine'"):
        benchmark_models([Case(models[0], mine)], PICTURE, calls=1)
