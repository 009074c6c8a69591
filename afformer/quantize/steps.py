"""The steps of one quantization: each takes what earlier steps returned, and returns what later steps need."""

from __future__ import annotations

import dataclasses
import math
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import onnx

from afformer import datasets
from afformer.errors import AfformerError, QuantizeError
from afformer.export.adoption import adopted
from afformer.export.opset import opset_of
from afformer.files import AnyPath, sha256
from afformer.html.pictures import Illustrator
from afformer.measure.certainty import Enough, decided, precise
from afformer.measure.pictures import Failure
from afformer.measure.timing import CALLS, Case, Timing, time_models
from afformer.measure.truth import settled
from afformer.progress import Progress
from afformer.quantize import calibration, channels, correction, lowering, pictures, ranges_file, search, sensitivity
from afformer.quantize.accuracy import Accuracy, Evaluator, Validation, usable
from afformer.quantize.candidates import Candidate, Candidates
from afformer.quantize.histogram import Histogram
from afformer.quantize.lowering import Unit
from afformer.quantize.options import QuantizeOptions
from afformer.quantize.pictures import Feeds
from afformer.quantize.placement import TABLE, Target
from afformer.quantize.ranges import Range, Ranges
from afformer.quantize.report import contents
from afformer.quantize.report.data import CalibrationNotes, Measured, QuantizeReport
from afformer.quantize.report.histograms import chart
from afformer.quantize.report.page import Illustrations
from afformer.quantize.verdict import Verdict
from afformer.runtime.opening import OpenOptions
from afformer.spec import ModelSpec, Precision
from afformer.spec_file import read_spec_file
from afformer.streams.file_names import open_pictures

_NOISE_PICTURES = 2
"""Pictures that the noise of each unit is measured on: decibels hardly depend on the picture."""
_CHANNEL_PICTURES = 16
"""Pictures that the ranges and the means of channels are taken from."""
_SEARCH_CALLS = 3
"""Calls of a burst when the search times blocks."""
_PRECISION = 0.01
"""How precisely the ratio to float is timed, as a share of it, if the rounds allow."""
_CHARTS = 8
"""Tensors whose histograms are shown."""
_BLOCK_DEPTH = 3
"""Parts of a unit's name that make the name of its block."""


@dataclasses.dataclass(frozen=True)
class FloatModel:
    """What is quantized."""

    path: Path
    graph: onnx.ModelProto
    spec: ModelSpec


@dataclasses.dataclass(frozen=True)
class Calibrated:
    """A float model that is ready to be lowered.

    Attributes:
        canonical: The graph in the shape that is quantized, with equal channels.
        ranges: Ranges of its observed tensors.
        feeds: The calibration pictures as its input.
        notes: Where the ranges come from.
    """

    canonical: onnx.ModelProto
    ranges: Ranges
    feeds: Feeds
    notes: CalibrationNotes

    @property
    def validation(self) -> Validation:
        """The calibration pictures, where no validation pictures were given."""
        return Validation(tuple(self.feeds.paths))


@dataclasses.dataclass(frozen=True)
class Found:
    """Where the search ended.

    Attributes:
        outcome: The candidate, and what stayed in float.
        accuracy: The candidate's.
        noise: SQNR of each unit in decibels.
    """

    outcome: search.Outcome[Candidate]
    accuracy: Accuracy
    noise: dict[str, float]

    @property
    def candidate(self) -> Candidate:
        """The best candidate."""
        return self.outcome.candidate


@dataclasses.dataclass(frozen=True)
class Job:
    """What was asked for; the same in every step.

    Attributes:
        float_model: What is quantized.
        output: The INT8 file; ranges and reports go beside it.
        options: What the INT8 model is to be like.
        open_options: How models are opened.
        progress: Told how far each step is.
        started: When, by `time.perf_counter`.
    """

    float_model: FloatModel
    output: Path
    options: QuantizeOptions
    open_options: OpenOptions
    progress: Progress
    started: float

    @classmethod
    def start(
        cls, model: Path, output: Path, options: QuantizeOptions, open_options: OpenOptions, progress: Progress
    ) -> Job:
        """Reads the float model."""
        started = time.perf_counter()
        return cls(_read(model, open_options.spec), output, options, open_options, progress, started)

    def validation(
        self,
        images: Path | None,
        labels: Path | None,
        dataset: str | None,
        label_options: datasets.LabelOptions = datasets.AS_THE_DATA_SET_HAS_THEM,
    ) -> tuple[Validation | None, tuple[Failure, ...]]:
        """The pictures to measure accuracy on, and their labels, None if none were named; and what cannot be used."""
        if images and labels:
            convention = datasets.for_model(self.float_model.spec, dataset, self.float_model.path, label_options)
            pairs = datasets.pairs(convention, images, labels)
            convention = settled(convention, [label for _, label in pairs])
            found, truths = tuple(p for p, _ in pairs), tuple(label for _, label in pairs)
            return usable(Validation(found, truths, convention))
        if labels:
            raise AfformerError("labels were given without their pictures; name the folder of pictures in `val_images`")
        return usable(Validation(open_pictures(images).paths)) if images else (None, ())

    def calibrate(self, folder: Path) -> Calibrated:
        """Finds the ranges, or reads them from the ranges file."""
        spec, options = self.float_model.spec, self.options
        found = pictures.survey(
            folder, spec.input_hw, options.pictures, lambda done, total: self.progress("reading pictures", done, total)
        )
        feeds = Feeds(found.paths, spec, self.open_options.fit)
        canonical = self._equalised(lowering.canonicalize(self.float_model.graph), feeds)
        tensors = lowering.tensors_to_observe(canonical, options.target)
        key = ranges_file.CalibrationKey(
            options.method,
            self._symmetric,
            len(found.paths),
            found.sha256,
            sha256(self.float_model.path),
            feeds.fit,
            spec.batch,
        )
        path = self.output.with_suffix(".ranges.json")
        reuse = ranges_file.load(path, key, tensors)
        ranges, origin = reuse.ranges, f"read from the ranges file ({reuse.reason})"
        if ranges is None:
            ranges, origin = self._observe(canonical, tensors, feeds), f"calibrated ({reuse.reason})"
            ranges_file.save(path, ranges, key)
        notes = CalibrationNotes(options.method.value, len(found.paths), path, origin, found.warnings)
        return Calibrated(canonical, ranges, feeds, notes)

    def candidates(self, calibrated: Calibrated, folder: Path) -> Candidates:
        """Makes the INT8 models that the search tries, in a folder."""
        corrected = None
        if self.options.correct_biases:
            means = correction.channel_means(calibrated.canonical, calibrated.feeds.of(_CHANNEL_PICTURES))
            depthwise_bits = TABLE[self.options.target].depthwise_bits
            corrected = correction.correct_biases(calibrated.canonical, means, self.options.bits, depthwise_bits)
        return Candidates(
            calibrated.canonical,
            calibrated.ranges,
            target=self.options.target,
            weight_bits=self.options.bits,
            folder=folder,
            opset=opset_of(self.float_model.graph),
            corrected=corrected,
        )

    def evaluator(self, validation: Validation) -> Evaluator:
        """Runs the float model on the validation pictures."""
        self.progress("float model's class maps", 0, 1)
        with self.open_options.open_segmenter(self.float_model.path) as segment:
            evaluator = Evaluator(validation, segment, self.float_model.spec.num_classes)
        self.progress("float model's class maps", 1, 1)
        return evaluator

    def search(self, calibrated: Calibrated, candidates: Candidates, evaluator: Evaluator) -> Found:
        """Finds what to leave in float."""
        units = list(candidates.units)
        noise = sensitivity.unit_sqnr(
            list(candidates.units.values()),
            candidates.model,
            calibrated.canonical,
            list(calibrated.feeds.of(_NOISE_PICTURES)),
            lambda done, total: self.progress("noise of each unit", done, total),
        )
        noisy = [unit for unit in units if noise[unit] < math.inf]
        accuracies: dict[Path, Accuracy] = {}

        def score(candidate: Candidate) -> float:
            with self.open_options.open_segmenter(candidate.path) as segment:
                accuracies[candidate.path] = evaluator.measure(segment)
            drop = evaluator.drop(accuracies[candidate.path])
            self.progress(f"search: {drop:.2f} points of drop", len(accuracies), self.options.budget)
            return drop

        outcome = search.search(
            search.ranked({unit: -noise[unit] for unit in noisy}),
            candidates.build,
            score,
            math.inf if self.options.limit is None else self.options.limit,
            latencies=self._latencies if self.options.time_blocks and not self._foreign else None,
            groups=_blocks(noisy),
            budget=self.options.budget,
        )
        return Found(outcome, accuracies[outcome.candidate.path], noise)

    def histograms(self, calibrated: Calibrated) -> dict[str, Histogram]:
        """The values of every observed tensor over some pictures."""
        feeds = calibrated.feeds.of(contents.PICTURES)
        return calibration.distributions(calibrated.canonical, list(calibrated.ranges), feeds)

    def report(
        self,
        calibrated: Calibrated,
        units: Iterable[Unit],
        reference: Accuracy,
        found: Found,
        histograms: Mapping[str, Histogram],
    ) -> QuantizeReport:
        """Times the candidate against float, reaches the verdict and gathers the report."""
        path, spec = self.float_model.path, self.float_model.spec
        before, after = self._timed([path, found.candidate.path], "latency against float", precise(_PRECISION))
        verdict = self._verdict(found, after)
        lowered = found.candidate.report
        return QuantizeReport(
            target=self.options.target.value,
            written=verdict.accepted,
            classes=spec.classes,
            input_hw=spec.input_hw,
            verdict=verdict,
            before=Measured(path, path.stat().st_size, before.seconds, reference),
            after=Measured(self.output, found.candidate.path.stat().st_size, after.seconds, found.accuracy),
            speed=after,
            calibration=calibrated.notes,
            units=contents.unit_noise(units, found.noise, found.outcome.reverted),
            float_nodes=contents.float_nodes(lowered),
            conversions=contents.conversion_groups(lowered),
            tensors=contents.tensor_noise(calibrated.canonical, calibrated.ranges, histograms, self._symmetric),
            search=found.outcome.log,
            seconds=time.perf_counter() - self.started,
        )

    def illustrations(
        self, report: QuantizeReport, evaluator: Evaluator, found: Found, histograms: Mapping[str, Histogram]
    ) -> Illustrations:
        """What the page shows beside the report."""
        charts = {
            tensor.name: chart(histograms[tensor.name], Range(tensor.low, tensor.high), f"values of {tensor.name}")
            for tensor in report.tensors[:_CHARTS]
        }
        illustrator = Illustrator(self.float_model.spec.classes, self.float_model.spec.palette)
        with self.open_options.open_segmenter(found.candidate.path) as segment:
            shown = contents.differences(evaluator, segment, found.accuracy.worst_pictures, illustrator)
        return Illustrations(charts, illustrator.legend, shown)

    def _equalised(self, canonical: onnx.ModelProto, feeds: Feeds) -> onnx.ModelProto:
        if not self.options.equalise:
            return canonical
        tensors = lowering.tensors_to_equalise(canonical, self.options.target)
        shown = feeds.of(_CHANNEL_PICTURES, lambda done, total: self.progress("ranges of channels", done, total))
        ranges = channels.channel_ranges(canonical, tensors, shown)
        return lowering.equalise(canonical, ranges, self.options.target)

    def _observe(self, canonical: onnx.ModelProto, tensors: Sequence[str], feeds: Feeds) -> Ranges:
        shown = feeds.of(len(feeds.paths), lambda done, total: self.progress("calibration", done, total))
        return calibration.calibrate(canonical, tensors, shown, self.options.method, symmetric=self._symmetric)

    def _timed(self, models: Sequence[Path], what: str, enough: Enough, calls: int = CALLS) -> list[Timing]:
        def tell(_: str, done: int, total: int) -> None:
            self.progress(what, done, total)

        cases = [Case(model, self.open_options) for model in models]
        return time_models(cases, calls=calls, enough=enough, progress=tell)

    def _latencies(self, candidates: Sequence[Candidate]) -> list[float]:
        enough = decided(1 - search.MARGIN)  # what the search asks
        models = [candidate.path for candidate in candidates]
        timings = self._timed(models, "latency of each block", enough, _SEARCH_CALLS)
        return [timing.ratio * timings[0].seconds for timing in timings]

    def _verdict(self, found: Found, timing: Timing) -> Verdict:
        return Verdict(
            drop=found.outcome.drop,
            measure="pixel agreement" if found.accuracy.miou is None else "mIoU",
            max_drop=self.options.limit,
            agreement=found.accuracy.agreement,
            ratio=timing.ratio,
            exhausted=found.outcome.log.exhausted,
            foreign=self._foreign,
            allow_drop=self.options.allow_drop,
            allow_slower=self.options.allow_slower,
        )

    @property
    def _symmetric(self) -> bool:
        return TABLE[self.options.target].symmetric

    @property
    def _foreign(self) -> bool:
        """Whether the target is another machine than this one."""
        arm = platform.machine().lower() in ("aarch64", "arm64")
        return self.options.target in ((Target.X86, Target.TENSORRT) if arm else (Target.ARM, Target.TENSORRT))


def _read(path: Path, said: AnyPath | None) -> FloatModel:
    model, spec = adopted(path, None if said is None else read_spec_file(said))
    if spec.precision is not Precision.FP32:
        raise QuantizeError(f"{path}: is {spec.precision.value}, expected fp32; quantize the float32 export")
    return FloatModel(path, model, spec)


def _blocks(units: Sequence[str]) -> list[list[str]]:
    """Units by block of the network: `stages.1.descriptor.local.0` belongs to `stages.1.descriptor`."""
    blocks: dict[str, list[str]] = {}
    for unit in units:
        blocks.setdefault(".".join(unit.split("/")[0].split(".")[:_BLOCK_DEPTH]), []).append(unit)
    return list(blocks.values())
