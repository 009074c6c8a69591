from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest

from afformer import quantize_model
from afformer.errors import AfformerError, BackendError, ImageError, OutputError, QuantizeError, SpecError
from afformer.measure.timing import Case, Timing
from afformer.progress import Progress
from afformer.quantize import steps
from afformer.quantize.observers import Method
from afformer.quantize.options import QuantizeOptions
from afformer.quantize.placement import Target
from afformer.quantize.quantize_model import judged_on
from afformer.quantize.report.data import QuantizeReport
from afformer.runtime.choices import Device, Fit
from afformer.runtime.opening import OpenOptions
from afformer.runtime.segmenter import Segmenter
from afformer.spec import METADATA_KEY, ModelSpec, Precision
from tests.builders.foreign_onnx import classes_of, write_foreign_onnx
from tests.builders.small_onnx import write_pictures
from tests.builders.tiny_onnx import SPEC, variants, without_metadata, write_tiny_onnx


def timings(*ratios: float) -> list[Timing]:
    """What models take of the 20 ms that the first one takes."""
    return [Timing(0.02 * each, each, each, each, "a stopwatch for tests") for each in ratios]


@dataclasses.dataclass
class Bench:
    """A model and pictures, and how fast the INT8 model of it seems to be."""

    folder: Path
    model: Path
    ratio: float = 0.5

    @property
    def output(self) -> Path:
        return self.folder / "model.int8.onnx"

    def time_models(self, cases: Sequence[Case], *, progress: Progress, **how: object) -> list[Timing]:
        progress("rounds", 1, 1)
        return timings(1, *[self.ratio] * (len(cases) - 1))

    def quantize(self, *, open_options: OpenOptions | None = None, **choices: Any) -> QuantizeReport:
        named = {name: choices.pop(name) for name in ("val_images", "val_labels", "progress") if name in choices}
        usual = {"target": Target.GENERIC, "time_blocks": False, "correct_biases": False}
        return quantize_model(
            self.model,
            self.output,
            self.folder / "pictures",
            options=QuantizeOptions(**{**usual, **choices}),
            open_options=open_options or OpenOptions("onnxruntime", threads=1),
            **named,
        )

    def edit_ranges(self, **ranges: tuple[float, float]) -> None:
        path = self.output.with_suffix(".ranges.json")
        fields = json.loads(path.read_text())
        fields["ranges"].update(ranges)
        path.write_text(json.dumps(fields))

    def spoil(self) -> None:
        """Makes ranges of which nearly everything is clipped."""
        self.quantize()
        self.output.unlink()
        self.edit_ranges(**{"pooled.equal": (-0.1, 0.1)})

    def report(self) -> Any:
        return json.loads(self.output.with_suffix(".report.json").read_text())

    def written(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()} - {"pictures", "model.onnx"}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    write_pictures(tmp_path / "pictures", 4)
    made = Bench(tmp_path, write_tiny_onnx(tmp_path / "model.onnx"))
    monkeypatch.setattr(steps, "time_models", made.time_models)
    return made


def test_a_good_model_is_written_with_its_ranges_and_reports(bench: Bench) -> None:
    report = bench.quantize()
    assert report.written
    assert report.verdict.agreement > 0.97
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
    bench.ratio = 1.2
    with pytest.raises(
        QuantizeError, match=r"^Not faster than float: 1.20 of its latency.*model.int8.onnx was not written"
    ):
        bench.quantize()
    assert not bench.output.exists()
    assert bench.report()["verdict"]["faster"] is False
    assert "Not worth it" in bench.output.with_suffix(".report.html").read_text()


def test_a_model_that_loses_too_much_is_not_written(bench: Bench) -> None:
    bench.spoil()
    with pytest.raises(QuantizeError, match=r"^Too inaccurate: loses .* more than the limit of 0.01.*raise `budget`"):
        bench.quantize(max_drop=0.01, budget=1)
    assert not bench.output.exists()


@pytest.mark.parametrize("ratio", [0.5, 1.2])
def test_what_fails_is_written_if_it_is_allowed(bench: Bench, ratio: float) -> None:
    bench.spoil()
    bench.ratio = ratio
    report = bench.quantize(allow_slower=True, allow_drop=True, max_drop=0.0, budget=1)
    assert not report.verdict.success
    assert report.written
    assert bench.output.exists()


def test_by_default_a_point_may_be_lost_and_with_none_or_infinity_any(bench: Bench) -> None:
    bench.spoil()
    report = bench.quantize()
    assert [unit.in_float for unit in report.units] == ["reverted by the search for accuracy"]
    assert report.verdict.max_drop == 1.0
    for any_drop in (None, float("inf")):
        report = bench.quantize(max_drop=any_drop)
        assert [unit.in_float for unit in report.units] == [None]
        assert (report.written, report.verdict.max_drop) == (True, None)
        assert report.losses_sentence().startswith("Classes that lose most IoU")


@pytest.mark.parametrize("suffix", [".onnx", ".ranges.json"])
def test_the_source_is_never_overwritten(bench: Bench, suffix: str) -> None:
    before = bench.model.read_bytes()
    output = bench.folder / "m.onnx"
    output.with_suffix(suffix).hardlink_to(bench.model)
    with pytest.raises(OutputError, match=r"is the input .*model.onnx itself and is not overwritten"):
        quantize_model(bench.model, output, bench.folder / "pictures")
    assert bench.model.read_bytes() == before


def test_the_search_leaves_in_float_what_hurts(bench: Bench) -> None:
    bench.spoil()
    report = bench.quantize(max_drop=0.0)
    assert [(unit.name, unit.in_float) for unit in report.units] == [("cells", "reverted by the search for accuracy")]
    assert report.verdict.drop == 0
    assert report.search.evaluations == 2
    assert [(group.reason, group.nodes) for group in report.float_nodes] == [
        ("the search left it in float", ("cells",))
    ]


def test_the_report_says_what_lowering_left(bench: Bench) -> None:
    report = bench.quantize()
    assert {(group.op_type, group.reason) for group in report.conversions} >= {
        ("QuantizeLinear", "input of cells"),
        ("DequantizeLinear", "input of cells"),
    }
    assert report.units[0].sqnr_db > 20
    assert "pooled.equal" in [tensor.name for tensor in report.tensors]


def test_biases_are_corrected_if_that_is_asked_for(bench: Bench) -> None:
    def constants() -> set[str]:
        return {constant.name for constant in onnx.load(bench.output).graph.initializer}

    bench.quantize(correct_biases=True)
    corrected = constants()
    bench.quantize(correct_biases=False)
    assert corrected - constants() == {"cells.corrected"}


def test_channels_are_equalised_unless_that_is_not_wanted(bench: Bench) -> None:
    for wanted in (True, False, True):
        report = bench.quantize(equalise=wanted)
        assert ("pooled.equal" in {tensor.name for tensor in report.tensors}) is wanted


def test_a_second_run_reuses_the_ranges_and_says_so(bench: Bench) -> None:
    first = bench.quantize()
    assert first.calibration.origin == "calibrated (there was no ranges file)"
    second = bench.quantize()
    assert second.calibration.origin == "read from the ranges file (same model, pictures and method)"
    assert second.tensors == first.tensors


def test_other_pictures_make_new_ranges(bench: Bench) -> None:
    bench.quantize()
    write_pictures(bench.folder / "pictures", 1, first=50)
    assert "the pictures have changed (4 then, 5 now)" in bench.quantize().calibration.origin


def test_a_range_edited_by_hand_is_used(bench: Bench) -> None:
    bench.quantize()
    bench.edit_ranges(**{"pooled.equal": (-0.7, 0.8)})
    (tensor,) = (tensor for tensor in bench.quantize().tensors if tensor.name == "pooled.equal")
    assert (tensor.low, tensor.high) == (-0.7, 0.8)
    assert tensor.clipped > 0.05


def test_units_that_are_slower_as_integers_go_back_to_float(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def time_models(cases: Sequence[Case], **how: object) -> list[Timing]:
        graphs = [onnx.load(case.path).graph for case in cases]
        slow = [2.0 if "QuantizeLinear" in {node.op_type for node in graph.node} else 1.0 for graph in graphs]
        return timings(*[each / slow[0] for each in slow])

    monkeypatch.setattr(steps, "time_models", time_models)
    report = bench.quantize(allow_slower=True, time_blocks=True)
    assert [unit.in_float for unit in report.units] == ["reverted by the search, faster in float"]


def test_models_are_timed_as_they_are_opened(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[Case] = []

    def time_models(cases: Sequence[Case], **how: object) -> list[Timing]:
        timed.extend(cases)
        return timings(1, 0.5)

    monkeypatch.setattr(steps, "time_models", time_models)
    bench.quantize(open_options=OpenOptions("onnxruntime", threads=2))
    assert [case.open_options for case in timed] == [OpenOptions("onnxruntime", threads=2)] * 2
    assert timed[0].path == bench.model


@pytest.mark.parametrize("fit", Fit)
def test_pictures_are_calibrated_on_as_they_are_segmented(bench: Bench, fit: Fit) -> None:
    write_pictures(bench.folder / "pictures", 2, (80, 200), first=30)
    assert bench.quantize(open_options=OpenOptions(threads=1, fit=fit)).written
    again = bench.quantize(open_options=OpenOptions(threads=1, fit=Fit.PAD))
    assert again.calibration.origin.startswith("read" if fit is Fit.PAD else "calibrated (they were made by percentile")


def test_warnings_about_the_pictures_reach_the_report(bench: Bench) -> None:
    assert bench.quantize().calibration.warnings[0].startswith("Only 4 usable pictures")


def test_accuracy_is_measured_on_the_validation_pictures(bench: Bench) -> None:
    pictures = write_pictures(bench.folder / "validation", 2, first=80)
    report = bench.quantize(val_images=bench.folder / "validation")
    assert report.after.accuracy.pictures == 2
    assert report.after.accuracy.worst_picture in pictures


def test_labels_without_their_pictures_are_refused(bench: Bench) -> None:
    with pytest.raises(AfformerError, match="name the folder of pictures in `val_images`"):
        bench.quantize(val_labels=bench.folder)


@pytest.mark.parametrize("spec", variants().values(), ids=variants())
@pytest.mark.parametrize("method", [Method.AVERAGE, Method.MSE])
def test_every_kind_of_model_is_quantized(bench: Bench, spec: ModelSpec, method: Method) -> None:
    write_tiny_onnx(bench.model, spec)
    assert bench.quantize(method=method).written


def test_progress_tells_every_step(bench: Bench) -> None:
    told: list[str] = []
    bench.quantize(progress=lambda what, done, total: told.append(what.split(":")[0]))
    assert list(dict.fromkeys(told)) == [
        "reading pictures",
        "ranges of channels",
        "calibration",
        "float model's class maps",
        "noise of each unit",
        "search",
        "latency against float",
    ]


def test_a_model_that_is_not_float32_is_refused(bench: Bench) -> None:
    write_tiny_onnx(bench.model, stamped=dataclasses.replace(SPEC, precision=Precision.FP16))
    with pytest.raises(QuantizeError, match="is fp16, expected fp32"):
        bench.quantize()


def test_a_model_without_a_spec_is_refused(bench: Bench) -> None:
    without_metadata(bench.model)
    with pytest.raises(SpecError, match=METADATA_KEY):
        bench.quantize()


@pytest.mark.parametrize(
    ("target", "said", "used"),
    [
        (Target.GENERIC, OpenOptions(threads=1), OpenOptions("openvino", threads=1)),
        (Target.GENERIC, OpenOptions("onnxruntime"), OpenOptions("onnxruntime")),
        (Target.GENERIC, OpenOptions(device=Device.CUDA), OpenOptions(device=Device.CUDA)),
        (Target.X86, OpenOptions(threads=1), OpenOptions(threads=1)),
    ],
)
def test_a_model_is_measured_on_the_engine_that_it_is_for_if_none_is_named(
    target: Target, said: OpenOptions, used: OpenOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert judged_on(target, said) == used


def test_without_openvino_its_models_are_not_measured_on_something_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(QuantizeError, match="`target=generic` is measured on OpenVINO, which is not installed"):
        bench.quantize(open_options=OpenOptions())
    assert not list(bench.folder.glob("*.int8.*"))


def test_a_file_that_is_not_a_model_is_refused(bench: Bench) -> None:
    bench.model.write_bytes(b"no model at all")
    with pytest.raises(BackendError, match="cannot be read as an ONNX model"):
        bench.quantize()


def test_a_missing_folder_of_pictures_is_refused(bench: Bench) -> None:
    with pytest.raises(ImageError, match="no such folder"):
        quantize_model(bench.model, bench.output, bench.folder / "nowhere")


def test_an_output_that_cannot_be_written_is_refused_before_the_work(bench: Bench) -> None:
    with pytest.raises(OutputError, match="cannot be created as a folder"):
        quantize_model(bench.folder / "no model", bench.model / "out.onnx", bench.folder)


@pytest.mark.parametrize("options", [{"max_drop": -1.0}, {"max_drop": float("nan")}, {"weight_bits": 4}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(QuantizeError, match=f"^`{next(iter(options))}` must be"):
        QuantizeOptions(**options)


def test_a_model_of_somebody_else_becomes_one_of_ours(bench: Bench) -> None:
    write_foreign_onnx(bench.model, "open lengths")
    spec = bench.folder / "spec.json"
    spec.write_text(json.dumps(classes_of()))
    report = bench.quantize(open_options=OpenOptions(threads=1, spec=spec))
    assert report.written
    with Segmenter(bench.output) as segmenter:
        assert (segmenter.spec.classes, segmenter.spec.input_name) == (SPEC.classes, "")
