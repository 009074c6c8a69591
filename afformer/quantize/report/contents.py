"""Fills the report from what was measured."""

from __future__ import annotations

import collections
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx

from afformer.html.pictures import Difference, Illustrator
from afformer.images import read_image
from afformer.measure.pictures import PictureScore, Segment
from afformer.quantize.accuracy import Evaluator
from afformer.quantize.grid import Grid
from afformer.quantize.histogram import Histogram
from afformer.quantize.lowering.result import LoweringReport, Unit
from afformer.quantize.observers import squared_error
from afformer.quantize.ranges import Range, Ranges
from afformer.quantize.report.data import ConversionGroup, FloatNodes, TensorNoise, UnitNoise
from afformer.quantize.search import Why
from afformer.quantize.sensitivity import sqnr

PICTURES = 4
"""Pictures that histograms are made of."""
_NODE = re.compile(r"\S+/([A-Za-z]+)(?:_\d+)?\b")
"""A node's name, which ends with its type."""
_WHY = {Why.ACCURACY: "reverted by the search for accuracy", Why.SPEED: "reverted by the search, faster in float"}


def unit_noise(units: Iterable[Unit], noise: Mapping[str, float], reverted: Mapping[str, Why]) -> tuple[UnitNoise, ...]:
    """Units, the noisiest first."""
    found = [
        UnitNoise(
            name=unit.name,
            nodes=tuple(sorted(unit.nodes)),
            sqnr_db=noise[unit.name],
            in_float=_WHY[reverted[unit.name]] if unit.name in reverted else None,
        )
        for unit in units
    ]
    return tuple(sorted(found, key=lambda unit: unit.sqnr_db))


def float_nodes(report: LoweringReport) -> tuple[FloatNodes, ...]:
    """What stayed in float, by reason, the most frequent first."""
    groups: dict[str, list[str]] = collections.defaultdict(list)
    for node, reason in report.stayed_float.items():
        groups[reason].append(node)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return tuple(FloatNodes(reason, tuple(nodes)) for reason, nodes in ordered)


def conversion_groups(report: LoweringReport) -> tuple[ConversionGroup, ...]:
    """Conversions that are left, by kind and reason, the most frequent first.

    Reasons that name nodes are alike if the nodes are of one type: `a/Conv_2 runs on integers` becomes `Conv runs on
    integers`.
    """
    groups: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    for found in report.conversions:
        groups[found.op_type, _NODE.sub(r"\1", found.reason)].append(f"{found.tensor}: {found.reason}")
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return tuple(ConversionGroup(op_type, reason, tuple(steps)) for (op_type, reason), steps in ordered)


def tensor_noise(
    canonical: onnx.ModelProto, ranges: Ranges, histograms: Mapping[str, Histogram], symmetric: bool
) -> tuple[TensorNoise, ...]:
    """How well each tensor's range fits it, the worst first.

    Args:
        canonical: The float graph.
        ranges: Of its observed tensors.
        histograms: Their values, over some pictures.
        symmetric: Whether the target's zero point is 0.
    """
    maker = {name: node.name for node in canonical.graph.node for name in node.output}
    found = [noise_of(name, maker.get(name, ""), histograms[name], kept, symmetric) for name, kept in ranges.items()]
    return tuple(sorted(found, key=lambda tensor: tensor.sqnr_db))


def noise_of(name: str, node: str, histogram: Histogram, kept: Range, symmetric: bool) -> TensorNoise:
    """How well a range fits a tensor that `node` makes."""
    values, counts = histogram.centres, histogram.counts.astype(np.float64)
    grid = Grid.over(kept.low, kept.high, symmetric=symmetric)
    # A value at the very end of the range may be counted in a bin whose centre lies outside: allow a bin's width.
    outside = (values < min(kept.low, 0) - histogram.width) | (values > max(kept.high, 0) + histogram.width)
    return TensorNoise(
        name=name,
        node=node,
        low=kept.low,
        high=kept.high,
        clipped=float(counts[outside].sum() / counts.sum()),
        sqnr_db=sqnr(float(counts @ np.square(values) / counts.sum()), squared_error(values, counts, grid)),
    )


def differences(
    evaluator: Evaluator, segment: Segment, worst: Sequence[PictureScore], illustrator: Illustrator
) -> tuple[Difference, ...]:
    """Pictures with both models' class maps.

    Args:
        evaluator: Knows the float model's.
        segment: The INT8 model.
        worst: Which pictures; those with the lowest agreement.
        illustrator: Draws them.
    """
    found = []
    for path in (score.picture for score in worst):
        image = read_image(path)
        maps = {"float": evaluator.reference_map(path), "INT8": segment(image)}
        found.append(illustrator.difference(path.name, image, maps))
    return tuple(found)
