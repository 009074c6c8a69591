from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from afformer.html.pictures import Illustrator
from afformer.measure.pictures import PictureScore
from afformer.quantize.accuracy import Evaluator, Validation
from afformer.quantize.calibration import distributions
from afformer.quantize.histogram import Histogram
from afformer.quantize.lowering.result import Conversion, LoweringReport, Unit
from afformer.quantize.ranges import Range
from afformer.quantize.report import contents
from afformer.quantize.report.data import ConversionGroup, FloatNodes
from afformer.quantize.search import Why
from tests.builders.small_onnx import chain, write_pictures


def uniform(low: float, high: float) -> Histogram:
    histogram = Histogram()
    histogram.add(np.linspace(low, high, 100_001))
    return histogram


def test_a_range_that_covers_a_tensor_clips_nothing() -> None:
    noise = contents.noise_of("t", "node", uniform(-1, 1), Range(-1, 1), symmetric=False)
    assert noise.clipped == 0
    assert noise.sqnr_db == pytest.approx(20 * math.log10(255 / 2) + 10 * math.log10(4), abs=0.3)  # 12 / 3 = 4


def test_values_on_the_border_of_a_range_are_not_clipped() -> None:
    histogram = Histogram()
    histogram.add(np.array([0.1, 0.9], np.float32))
    assert contents.noise_of("t", "node", histogram, Range(0.1, 0.9), symmetric=False).clipped == 0


def test_values_outside_are_counted_as_clipped() -> None:
    noise = contents.noise_of("t", "node", uniform(0, 1), Range(0, 0.75), symmetric=False)
    assert noise.clipped == pytest.approx(0.25, abs=0.002)


def test_a_range_above_zero_clips_nothing_below_itself_because_the_grid_has_the_zero() -> None:
    assert contents.noise_of("t", "node", uniform(0, 1), Range(0.5, 1), symmetric=False).clipped == 0


def test_tensors_come_worst_first_with_the_nodes_that_make_them() -> None:
    feeds = [np.random.default_rng(0).uniform(-1, 1, (1, 3, 4, 4)).astype(np.float32)]
    ranges = {"doubled": Range(-2, 2), "image": Range(-0.3, 0.3), "shifted": Range(-9, 9)}
    model = chain()
    model.graph.node[0].name = "double"
    found = contents.tensor_noise(model, ranges, distributions(model, list(ranges), feeds), symmetric=False)
    assert [tensor.name for tensor in found] == ["image", "shifted", "doubled"]
    assert [tensor.node for tensor in found] == ["", "", "double"]


def test_units_come_noisiest_first_with_the_reason_for_float() -> None:
    units = [Unit("a", frozenset({"a1", "a0"})), Unit("b", frozenset({"b0"})), Unit("c", frozenset({"c0"}))]
    found = contents.unit_noise(units, {"a": 40.0, "b": math.inf, "c": 20.0}, {"c": Why.SPEED})
    assert [(unit.name, unit.in_float) for unit in found] == [
        ("c", "reverted by the search, faster in float"),
        ("a", None),
        ("b", None),
    ]
    assert found[1].nodes == ("a0", "a1")


def test_what_lowering_left_is_grouped_by_kind_and_reason_the_most_frequent_first() -> None:
    conversions = (
        Conversion("Transpose", "x", "why"),
        Conversion("DequantizeLinear", "y", "why"),
        Conversion("DequantizeLinear", "z", "why"),
    )
    report = LoweringReport(conversions, {"n0": "rare", "n1": "common", "n2": "common"}, ())
    assert contents.conversion_groups(report) == (
        ConversionGroup("DequantizeLinear", "why", ("y: why", "z: why")),
        ConversionGroup("Transpose", "why", ("x: why",)),
    )
    assert contents.float_nodes(report) == (FloatNodes("common", ("n1", "n2")), FloatNodes("rare", ("n0",)))


def test_reasons_that_name_nodes_of_one_type_are_one_reason() -> None:
    reasons = ("stages.1.a/Conv runs on integers", "stem.0/Conv_12 runs on integers", "the model's output")
    found = contents.conversion_groups(
        LoweringReport(tuple(Conversion("Transpose", "t", reason) for reason in reasons), {}, ())
    )
    assert [(left.reason, len(left.steps)) for left in found] == [
        ("Conv runs on integers", 2),
        ("the model's output", 1),
    ]
    assert found[0].steps[1] == "t: stem.0/Conv_12 runs on integers"


def test_the_worst_pictures_are_shown_in_their_order(tmp_path: Path) -> None:
    pictures = tuple(write_pictures(tmp_path, 6))
    evaluator = Evaluator(Validation(pictures), lambda image: np.zeros((64, 96), np.uint8), 2)
    illustrator = Illustrator(("a", "b"), ((0, 0, 0), (255, 0, 0)))
    worst = [PictureScore(pictures[index], 0.0) for index in (3, 1)]
    shown = contents.differences(evaluator, lambda image: np.ones((64, 96), np.uint8), worst, illustrator)
    assert [sample.name for sample in shown] == ["003.png", "001.png"]
    assert shown[0].agreement == 0
