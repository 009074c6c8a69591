"""The parts of the report, from what the job measured."""

from __future__ import annotations

import collections
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import onnx

from afformer.images import read_image
from afformer.measure.timing import Timing
from afformer.quantize import calibration, charts
from afformer.quantize.accuracy import Referee, Segment
from afformer.quantize.histogram import Histogram
from afformer.quantize.lowering.report import Report, Unit
from afformer.quantize.observers import Grid, squared_error
from afformer.quantize.pictures import spread
from afformer.quantize.ranges import Range, Ranges
from afformer.quantize.report import Conversions, FloatNodes, Layer, SearchNotes, Speed, TensorNoise
from afformer.quantize.search import Outcome, Why
from afformer.quantize.sensitivity import sqnr
from afformer.spec import RGB

PICTURES = 4
"""Pictures that histograms are made of, and sample pictures on the page."""
_HISTOGRAMS = 8
_C = TypeVar("_C")
_NODE = re.compile(r"\S+/([A-Za-z]+)(?:_\d+)?\b")
"""A node's name, which ends with its type."""

_WHY = {Why.ACCURACY: "reverted by the search for accuracy", Why.SPEED: "reverted by the search, faster in float"}


def speed(timing: Timing) -> Speed:
    """The comparison's figures."""
    return Speed(timing.ratio, timing.ratio_low, timing.ratio_high, timing.engine)


def layers(units: Iterable[Unit], noise: Mapping[str, float], reverted: Mapping[str, Why]) -> tuple[Layer, ...]:
    """Units, the noisiest first."""
    found = [
        Layer(unit.name, tuple(sorted(unit.nodes)), noise[unit.name], _WHY[reverted[unit.name]])
        if unit.name in reverted
        else Layer(unit.name, tuple(sorted(unit.nodes)), noise[unit.name], None)
        for unit in units
    ]
    return tuple(sorted(found, key=lambda layer: layer.sqnr_db))


def float_nodes(report: Report) -> tuple[FloatNodes, ...]:
    """What stayed in float, by reason, the most frequent first."""
    groups: dict[str, list[str]] = collections.defaultdict(list)
    for node, reason in report.stayed_float.items():
        groups[reason].append(node)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return tuple(FloatNodes(reason, tuple(nodes)) for reason, nodes in ordered)


def conversions(report: Report) -> tuple[Conversions, ...]:
    """Steps that are left, by kind and reason, the most frequent first.

    Reasons that name nodes are alike if these are of one type: `a/Conv_2 runs on integers`, `Conv runs on integers`.
    """
    groups: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    for step in report.steps:
        groups[step.op_type, _NODE.sub(r"\1", step.reason)].append(f"{step.tensor}: {step.reason}")
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return tuple(Conversions(op_type, reason, tuple(steps)) for (op_type, reason), steps in ordered)


def search_notes(outcome: Outcome[_C]) -> SearchNotes:
    """What the search did."""
    return SearchNotes(outcome.evaluations, outcome.exhausted, outcome.steps)


def tensor_noise(name: str, node: str, histogram: Histogram, kept: Range, symmetric: bool) -> TensorNoise:
    """How well a range fits a tensor that `node` makes."""
    values = (histogram.edges[:-1] + histogram.edges[1:]) / 2
    counts = histogram.counts.astype(np.float64)
    grid = Grid.over(kept.low, kept.high, symmetric)
    # A bin's width keeps what lies on the border from being counted as clipped.
    outside = (values < min(kept.low, 0) - histogram.width) | (values > max(kept.high, 0) + histogram.width)
    return TensorNoise(
        name=name,
        node=node,
        low=kept.low,
        high=kept.high,
        clipped=float(counts[outside].sum() / counts.sum()),
        sqnr_db=sqnr(float(counts @ np.square(values) / counts.sum()), squared_error(values, counts, grid)),
    )


def tensors(
    prepared: onnx.ModelProto, ranges: Ranges, feeds: Iterable[npt.NDArray[np.generic]], symmetric: bool
) -> tuple[tuple[TensorNoise, ...], dict[str, str]]:
    """How well each range fits, worst first, and the histograms of the worst as SVG, by name.

    Args:
        prepared: The float graph.
        ranges: Of its observed tensors.
        feeds: Some input tensors.
        symmetric: Whether the target's zero point is 0.
    """
    histograms = calibration.distributions(prepared, list(ranges), feeds)
    maker = {name: node.name for node in prepared.graph.node for name in node.output}
    noise = [
        tensor_noise(name, maker.get(name, ""), histograms[name], kept, symmetric) for name, kept in ranges.items()
    ]
    noise.sort(key=lambda tensor: tensor.sqnr_db)
    shown = {
        tensor.name: charts.histogram_svg(histograms[tensor.name], ranges[tensor.name], f"values of {tensor.name}")
        for tensor in noise[:_HISTOGRAMS]
    }
    return tuple(noise), shown


def samples(referee: Referee, segment: Segment, worst: Path, palette: Sequence[RGB]) -> tuple[charts.Sample, ...]:
    """Pictures with both models' answers.

    Args:
        referee: Knows the float model's.
        segment: The INT8 model.
        worst: The picture with the least agreement; it comes first.
        palette: One RGB colour a class.
    """
    paths = dict.fromkeys([worst, *spread(referee.validation.pictures, PICTURES - 1)])
    return tuple(_sample(path, referee, segment, palette) for path in paths)


def _sample(path: Path, referee: Referee, segment: Segment, palette: Sequence[RGB]) -> charts.Sample:
    image = read_image(path)
    expected = referee.map_of(referee.validation.pictures.index(path))
    return charts.sample(path.name, image, (expected, segment(image)), palette)
