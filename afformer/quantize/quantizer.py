"""Float32 ONNX file -> INT8 ONNX file that was measured to be worth having, and the report beside it."""

from __future__ import annotations

import math
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from afformer.errors import QuantizeError
from afformer.files import check_writable, replacing, sha256
from afformer.measure.timing import Timing
from afformer.onnx_file import read_onnx_file
from afformer.quantize import cache, compose, correction, pictures, search, sensitivity
from afformer.quantize.accuracy import Accuracy, Referee, Validation
from afformer.quantize.calibration import calibrate
from afformer.quantize.options import Engines, Progress, QuantizeOptions
from afformer.quantize.page import Visuals, write_page
from afformer.quantize.placement import TABLE, Target
from afformer.quantize.ranges import Ranges
from afformer.quantize.report import CalibrationNotes, Measured, QuantizeReport, write_json
from afformer.quantize.verdict import Bargain
from afformer.quantize.workshop import Candidate, Lowering, Workshop
from afformer.spec import ModelSpec, Precision

__all__ = ["Engines", "Progress", "QuantizeOptions", "quantize"]

Array = npt.NDArray[np.generic]

_NOISE_PICTURES = 2
"""Pictures on which the noise of each unit is measured: decibels hardly depend on the picture."""
_MEAN_PICTURES = 16
"""Pictures over which channels are averaged for the correction of biases."""
_BLOCK_DEPTH = 3
"""Parts of a unit's name that tell its block."""


def _untold(what: str, done: int, total: int) -> None:
    """The progress that nobody sees."""


def quantize(
    model: Path,
    output: Path,
    calibration: Path | Sequence[Path],
    engines: Engines,
    *,
    options: QuantizeOptions | None = None,
    validation: Validation | None = None,
    progress: Progress | None = None,
    lowering: Lowering | None = None,
) -> QuantizeReport:
    """Quantizes a model and measures what came out.

    Beside `output` go its ranges (`.ranges.json`) and the report (`.report.json` and `.report.html`), whatever the
    verdict; `output` itself only if it is accepted.

    Args:
        model: A float32 ONNX file of this package's export.
        output: The INT8 file to write.
        calibration: A folder of pictures like those the model will see, or the pictures.
        engines: What runs models.
        options: What the result shall be like; the defaults if left out.
        validation: Pictures, and labels if there are any, to measure accuracy on; the calibration pictures if left out.
        progress: Shows progress; nobody is told if left out.
        lowering: Makes the integer graph; this package's own if left out.

    Raises:
        QuantizeError: The result is less accurate than asked for or not faster than float; or the model is no float32
            model, or the ranges file cannot be read.
        ImageError: There are no usable pictures, or a label does not fit.
        SpecError: The model has no readable spec.
        BackendError: An engine failed.
        OutputError: A file cannot be written.
    """
    check_writable(output)
    with tempfile.TemporaryDirectory() as folder:
        job = _Job(
            model,
            output,
            engines,
            options=options or QuantizeOptions(),
            progress=progress or _untold,
            folder=Path(folder),
        )
        job.calibrate(calibration, lowering or _own_lowering())
        job.judge(validation)
        outcome = job.find()
        report = job.report(outcome)
        if report.written:
            with replacing(output) as temporary:
                shutil.copyfile(outcome.candidate.path, temporary)
    if not report.written:
        raise QuantizeError(_failure(report))
    return report


class _Job:
    """One quantization, step by step: `calibrate`, `judge`, `find`, `report`."""

    def __init__(
        self, path: Path, output: Path, engines: Engines, *, options: QuantizeOptions, progress: Progress, folder: Path
    ) -> None:
        self._start = time.perf_counter()
        self._path, self._output, self._engines, self._options = path, output, engines, options
        self._progress, self._folder = progress, folder
        self._weight_bits = options.weight_bits or TABLE[options.target].weight_bits
        self._model, self._spec = _read(path)

    def calibrate(self, source: Path | Sequence[Path], lowering: Lowering) -> None:
        """Finds or reads the ranges, and sets up the workshop."""
        options, progress = self._options, self._progress
        self._pictures = pictures.survey(
            source, self._spec.input_hw, options.pictures, lambda done, total: progress("reading pictures", done, total)
        )
        self._prepared = lowering.prepare(self._model)
        tensors = list(lowering.tensors_to_observe(self._prepared, options.target))
        self._ranges, self._notes = self._cached_ranges(tensors)
        self._workshop = Workshop(
            lowering,
            self._prepared,
            self._ranges,
            target=options.target,
            weight_bits=self._weight_bits,
            spec=self._spec,
            folder=self._folder,
            corrected=self._corrected() if options.correct_biases else None,
        )

    def judge(self, validation: Validation | None) -> None:
        """Lets the float model answer."""
        self._validation = validation or Validation(self._pictures.paths)
        self._progress("float model's answers", 0, 1)
        with self._engines.open_model(self._path) as segment:
            self._referee = Referee(self._validation, segment, self._spec.num_classes)
        self._progress("float model's answers", 1, 1)
        self._accuracies: dict[Path, Accuracy] = {}

    def find(self) -> search.Outcome[Candidate]:
        """Finds what to leave in float."""
        options = self._options
        units = list(self._workshop.units)
        self._sqnr = sensitivity.unit_sqnr(
            units,
            self._workshop.model,
            self._prepared,
            list(self._feeds(_NOISE_PICTURES)),
            lambda done, total: self._progress("noise of each unit", done, total),
        )
        noisy = [unit for unit in units if self._sqnr[unit] < math.inf]
        return search.search(
            search.ranked({unit: -self._sqnr[unit] for unit in noisy}),
            self._workshop.build,
            self._drop,
            math.inf if options.max_drop is None else options.max_drop,
            latencies=self._latencies if options.time_blocks and not self._foreign else None,
            groups=_blocks(noisy),
            budget=options.budget,
        )

    def report(self, outcome: search.Outcome[Candidate]) -> QuantizeReport:
        """Measures what counts, and writes the report."""
        candidate = outcome.candidate
        before, after = self._engines.race(
            [self._path, candidate.path], lambda done, total: self._progress("latency against float", done, total)
        )
        bargain = self._bargain(outcome, after)
        tensors, histograms = compose.tensors(
            self._prepared, self._ranges, self._feeds(compose.PICTURES), TABLE[self._options.target].symmetric
        )
        with self._engines.open_model(candidate.path) as segment:
            worst = self._accuracies[candidate.path].worst_picture
            samples = compose.samples(self._referee, segment, worst, self._spec.palette)
        report = QuantizeReport(
            target=self._options.target.value,
            written=bargain.accepted,
            classes=self._spec.classes,
            input_hw=self._spec.input_hw,
            bargain=bargain,
            before=Measured(self._path, self._path.stat().st_size, before.seconds, self._referee.reference),
            after=Measured(
                self._output, candidate.path.stat().st_size, after.seconds, self._accuracies[candidate.path]
            ),
            speed=compose.speed(after),
            calibration=self._notes,
            layers=compose.layers(self._workshop.units.values(), self._sqnr, outcome.reverted),
            float_nodes=compose.float_nodes(candidate.report),
            conversions=compose.conversions(candidate.report),
            tensors=tensors,
            search=compose.search_notes(outcome),
            seconds=time.perf_counter() - self._start,
        )
        write_json(report, self._output.with_suffix(".report.json"))
        write_page(report, Visuals(histograms, samples), self._output.with_suffix(".report.html"))
        return report

    def _cached_ranges(self, tensors: list[str]) -> tuple[Ranges, CalibrationNotes]:
        found, method = self._pictures, self._options.method
        symmetric = TABLE[self._options.target].symmetric
        made_from = cache.Source(method, symmetric, len(found.paths), found.sha256, sha256(self._path))
        path = self._output.with_suffix(".ranges.json")
        cached = cache.load(path, made_from, tensors)
        ranges, source = cached.ranges, f"read from the cache ({cached.reason})"
        if ranges is None:
            ranges = calibrate(
                self._prepared,
                tensors,
                self._feeds(len(found.paths)),
                method,
                symmetric=symmetric,
                seen=lambda calls: self._progress("calibration", calls, -(-len(found.paths) // self._spec.batch)),
            ).ranges
            cache.save(path, ranges, made_from)
            source = f"calibrated ({cached.reason})"
        return ranges, CalibrationNotes(method.value, len(found.paths), path, source, found.warnings)

    def _corrected(self) -> onnx.ModelProto:
        means = correction.channel_means(self._prepared, self._feeds(_MEAN_PICTURES))
        return correction.correct_biases(self._prepared, means, self._weight_bits)

    def _feeds(self, count: int) -> Iterator[Array]:
        paths = pictures.spread(self._pictures.paths, count)
        return pictures.batches(paths, self._engines.prepare(self._spec), self._spec.batch)

    def _drop(self, candidate: Candidate) -> float:
        with self._engines.open_model(candidate.path) as segment:
            accuracy = self._referee.measure(segment)
        self._accuracies[candidate.path] = accuracy
        drop = self._referee.drop(accuracy)
        self._progress(f"search: {drop:.2f} points of drop", len(self._accuracies), self._options.budget)
        return drop

    def _latencies(self, candidates: Sequence[Candidate]) -> list[float]:
        timings = self._engines.race(
            [candidate.path for candidate in candidates],
            lambda done, total: self._progress("latency of each block", done, total),
        )
        return [timing.ratio * timings[0].seconds for timing in timings]

    def _bargain(self, outcome: search.Outcome[Candidate], after: Timing) -> Bargain:
        options = self._options
        accuracy = self._accuracies[outcome.candidate.path]
        return Bargain(
            drop=outcome.drop,
            measure="pixel agreement" if accuracy.miou is None else "mIoU",
            max_drop=options.max_drop,
            agreement=accuracy.agreement,
            ratio=after.ratio,
            exhausted=outcome.exhausted,
            foreign=self._foreign,
            allow_drop=options.allow_drop,
            allow_slower=options.allow_slower,
        )

    @property
    def _foreign(self) -> bool:
        arm = platform.machine().lower() in ("aarch64", "arm64")
        return self._options.target in ((Target.X86, Target.TENSORRT) if arm else (Target.ARM, Target.TENSORRT))


def _read(path: Path) -> tuple[onnx.ModelProto, ModelSpec]:
    model, spec = read_onnx_file(path)
    if spec.precision is not Precision.FP32:
        raise QuantizeError(f"{path}: is {spec.precision.value}, expected fp32; quantize the float32 export")
    return model, spec


def _own_lowering() -> Lowering:
    from afformer.quantize import lowering

    return lowering


def _blocks(units: Sequence[str]) -> list[list[str]]:
    """Units of one block of the network: `stages.1.descriptor.local.0` belongs to `stages.1.descriptor`."""
    blocks: dict[str, list[str]] = {}
    for unit in units:
        blocks.setdefault(".".join(unit.split("/")[0].split(".")[:_BLOCK_DEPTH]), []).append(unit)
    return list(blocks.values())


def _failure(report: QuantizeReport) -> str:
    deal = report.bargain
    failed = [*([] if deal.accurate else [deal.accuracy()]), *([] if deal.faster else [deal.speed()])]
    return " ".join([*failed, *deal.advice(), f"{report.after.path} was not written."])
