from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest

from afformer.errors import BackendError, ImageError, OutputError, QuantizeError, SpecError
from afformer.measure.timing import Timing
from afformer.quantize.accuracy import Validation
from afformer.quantize.observers import Method
from afformer.quantize.placement import Target
from afformer.quantize.quantizer import Engines, QuantizeOptions, quantize
from afformer.quantize.report import QuantizeReport
from afformer.runtime.preprocess import fit_picture
from afformer.runtime.segmenter import Segmenter
from afformer.spec import METADATA_KEY, ModelSpec, Precision
from tests.builders.small_onnx import RoundingLowering, write_pictures
from tests.builders.tiny_onnx import SPEC, variants, without_metadata, write_tiny_onnx

Race = Callable[[Sequence[Path], Callable[[int, int], None]], Sequence[Timing]]


def racing(ratio: float) -> Race:
    """Every candidate takes `ratio` of what the first one takes."""

    def race(paths: Sequence[Path], seen: Callable[[int, int], None]) -> list[Timing]:
        ratios = [1.0, *[ratio] * (len(paths) - 1)]
        return [Timing(0.02 * each, each, each, each, "a fake engine") for each in ratios]

    return race


def engines(race: Race) -> Engines:
    return Engines(
        prepare=lambda spec: lambda image: fit_picture(image, spec).tensor,
        open_model=lambda path: Segmenter(path, threads=1),
        race=race,
    )


@dataclasses.dataclass
class Bench:
    folder: Path
    model: Path

    @property
    def output(self) -> Path:
        return self.folder / "model.int8.onnx"

    def quantize(self, *, ratio: float = 0.5, lowering: Any = None, **options: Any) -> QuantizeReport:
        return quantize(
            self.model,
            self.output,
            self.folder / "pictures",
            engines(racing(ratio)),
            options=QuantizeOptions(**{"time_blocks": False, "correct_biases": False, **options}),
            lowering=lowering or RoundingLowering(),
        )

    def report(self) -> Any:
        return json.loads(self.output.with_suffix(".report.json").read_text())

    def written(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()} - {"pictures", "model.onnx"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    write_pictures(tmp_path / "pictures", 4)
    return Bench(tmp_path, write_tiny_onnx(tmp_path / "model.onnx"))


def test_a_good_model_is_written_with_its_ranges_and_reports(bench: Bench) -> None:
    report = bench.quantize()
    assert report.written
    assert report.bargain.agreement > 0.97
    assert bench.written() == {
        "model.int8.onnx",
        "model.int8.ranges.json",
        "model.int8.report.json",
        "model.int8.report.html",
    }


def test_the_model_is_one_file_that_knows_its_spec_and_runs_like_any_other(bench: Bench) -> None:
    bench.quantize()
    with Segmenter(bench.output) as segmenter:
        assert segmenter.spec.precision is Precision.INT8
        assert segmenter.spec.classes == SPEC.classes
        assert segmenter(bench.folder / "pictures" / "000.png").shape == (64, 96)


def test_a_model_that_is_not_faster_is_not_written_but_its_report_is(bench: Bench) -> None:
    with pytest.raises(
        QuantizeError, match=r"^Not faster than float: 1.20 of its latency.*model.int8.onnx was not written"
    ):
        bench.quantize(ratio=1.2)
    assert not bench.output.exists()
    assert bench.report()["verdict"]["faster"] is False
    assert "Not worth it" in bench.output.with_suffix(".report.html").read_text()


def test_a_model_that_loses_too_much_is_not_written(bench: Bench) -> None:
    @dataclasses.dataclass(frozen=True)
    class Fixed(RoundingLowering):
        def units(self, prepared: onnx.ModelProto, target: Target) -> list[Any]:
            return []

    with pytest.raises(QuantizeError, match=r"^Too inaccurate: loses .* more than the 0.01 allowed"):
        bench.quantize(max_drop=0.01, lowering=Fixed(step=20))
    assert not bench.output.exists()


@pytest.mark.parametrize("ratio", [0.5, 1.2])
def test_what_fails_is_written_if_it_is_allowed(bench: Bench, ratio: float) -> None:
    report = bench.quantize(ratio=ratio, allow_slower=True, allow_drop=True, max_drop=0.0, budget=1)
    assert report.written
    assert bench.output.exists()


def test_the_search_leaves_in_float_what_hurts(bench: Bench) -> None:
    report = bench.quantize(max_drop=0.0, lowering=RoundingLowering(step=8))
    assert [(layer.name, layer.in_float) for layer in report.layers] == [
        ("unit cells", "reverted by the search for accuracy")
    ]
    assert report.bargain.drop == 0
    assert report.search.evaluations == 2


def test_the_report_says_what_lowering_left(bench: Bench) -> None:
    report = bench.quantize()
    assert [(left.op_type, left.reason) for left in report.conversions] == [
        ("QuantizeLinear", "for the kernel"),
        ("DequantizeLinear", "for Relu"),
    ]
    assert {group.reason for group in report.float_nodes} >= {"no kernel for AveragePool"}
    assert report.layers[0].sqnr_db > 20
    assert [tensor.name for tensor in report.tensors] == ["pooled"]


def test_biases_are_corrected_unless_they_shall_not_be(bench: Bench) -> None:
    def constants() -> set[str]:
        return {constant.name for constant in onnx.load(bench.output).graph.initializer}

    bench.quantize(correct_biases=True)
    corrected = constants()
    bench.quantize(correct_biases=False)
    assert corrected - constants() == {"cells.corrected"}


def test_a_second_run_reuses_the_ranges_and_says_so(bench: Bench) -> None:
    first = bench.quantize()
    assert first.calibration.source == "calibrated (there is no cache yet)"
    second = bench.quantize()
    assert second.calibration.source == "read from the cache (same model, pictures and method)"
    assert second.tensors == first.tensors


def test_other_pictures_make_new_ranges(bench: Bench) -> None:
    bench.quantize()
    write_pictures(bench.folder / "pictures", 1, first=50)
    assert "the pictures have changed (4 then, 5 now)" in bench.quantize().calibration.source


def test_a_range_edited_by_hand_is_used(bench: Bench) -> None:
    bench.quantize()
    path = bench.output.with_suffix(".ranges.json")
    fields = json.loads(path.read_text())
    fields["ranges"]["pooled"] = [-1.25, 1.5]
    path.write_text(json.dumps(fields))
    tensor = bench.quantize().tensors[0]
    assert (tensor.low, tensor.high) == (-1.25, 1.5)
    assert tensor.clipped > 0.05


def test_units_that_are_slower_as_integers_go_back_to_float(bench: Bench) -> None:
    def race(paths: Sequence[Path], seen: Callable[[int, int], None]) -> list[Timing]:
        integer = ["QuantizeLinear" in {node.op_type for node in onnx.load(path).graph.node} for path in paths]
        seconds = [0.02 if slow else 0.01 for slow in integer]
        return [Timing(each, each / seconds[0], each / seconds[0], each / seconds[0], "a fake") for each in seconds]

    report = quantize(
        bench.model,
        bench.output,
        bench.folder / "pictures",
        engines(race),
        options=QuantizeOptions(allow_slower=True, target=Target.GENERIC),
        lowering=RoundingLowering(),
    )
    assert [layer.in_float for layer in report.layers] == ["reverted by the search, faster in float"]


def test_warnings_about_the_pictures_reach_the_report(bench: Bench) -> None:
    assert bench.quantize().calibration.warnings[0].startswith("Only 4 usable pictures")


def test_accuracy_is_measured_on_the_validation_pictures(bench: Bench) -> None:
    pictures = tuple(write_pictures(bench.folder / "validation", 2, first=80))
    report = quantize(
        bench.model,
        bench.output,
        bench.folder / "pictures",
        engines(racing(0.5)),
        options=QuantizeOptions(time_blocks=False, correct_biases=False),
        validation=Validation(pictures),
        lowering=RoundingLowering(),
    )
    assert report.after.accuracy.pictures == 2
    assert report.after.accuracy.worst_picture in pictures


@pytest.mark.parametrize("spec", variants().values(), ids=variants())
@pytest.mark.parametrize("method", [Method.AVERAGE, Method.MSE])
def test_every_kind_of_model_is_quantized(bench: Bench, spec: ModelSpec, method: Method) -> None:
    write_tiny_onnx(bench.model, spec)
    assert bench.quantize(method=method).written


def test_progress_tells_every_stage(bench: Bench) -> None:
    stages: list[str] = []
    quantize(
        bench.model,
        bench.output,
        bench.folder / "pictures",
        engines(racing(0.5)),
        options=QuantizeOptions(time_blocks=False, correct_biases=False),
        progress=lambda what, done, total: stages.append(what.split(":")[0]),
        lowering=RoundingLowering(),
    )
    assert list(dict.fromkeys(stages)) == [
        "reading pictures",
        "calibration",
        "float model's answers",
        "noise of each unit",
        "search",
    ]


def test_a_model_that_is_not_float32_is_refused(bench: Bench) -> None:
    write_tiny_onnx(bench.model, stamped=dataclasses.replace(SPEC, precision=Precision.FP16))
    with pytest.raises(QuantizeError, match="is fp16, expected fp32"):
        bench.quantize()


def test_a_model_without_a_spec_is_refused(bench: Bench) -> None:
    without_metadata(bench.model)
    with pytest.raises(SpecError, match=METADATA_KEY):
        bench.quantize()


def test_a_file_that_is_no_model_is_refused(bench: Bench) -> None:
    bench.model.write_bytes(b"no model at all")
    with pytest.raises(BackendError, match="is no ONNX model"):
        bench.quantize()


def test_a_folder_without_pictures_is_refused(bench: Bench) -> None:
    with pytest.raises(ImageError, match="no such folder"):
        quantize(bench.model, bench.output, bench.folder / "nowhere", engines(racing(0.5)), lowering=RoundingLowering())


def test_an_output_that_cannot_be_written_is_refused_before_the_work(bench: Bench) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        quantize(bench.model, bench.folder / "missing" / "out.onnx", bench.folder, engines(racing(0.5)))


@pytest.mark.parametrize("options", [{"max_drop": -1.0}, {"max_drop": float("nan")}, {"weight_bits": 4}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(QuantizeError, match="but"):
        QuantizeOptions(**options)
