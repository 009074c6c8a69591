from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import pytest

pytest.importorskip("torch")

from afformer.export.onnx_graph import build_graph
from afformer.quantize import lowering
from afformer.quantize.activations import ActivationsRunner
from afformer.quantize.lowering import Unit
from afformer.quantize.placement import Target
from afformer.quantize.ranges import Range, Ranges
from afformer.quantize.sensitivity import logits_of, sqnr, unit_sqnr
from afformer.spec import METADATA_KEY
from tests.builders.graphs import attention, bottleneck, observed
from tests.builders.networks import random_network
from tests.builders.small_onnx import chain, rounded
from tests.builders.tiny_onnx import SPEC

FEEDS = [np.random.default_rng(0).uniform(-1, 1, (1, 3, 4, 4)).astype(np.float32)]
RANGES = {"image": Range(-1, 1), "doubled": Range(-2, 2), "shifted": Range(-1, 3)}
FLOAT32 = 90.0
"""Decibels from which noise is the rounding of float32, which depends on the order of sums."""
READERS = {"image": "doubled", "doubled": "shifted", "shifted": "logits"}
Array = npt.NDArray[np.float32]


def named(model: onnx.ModelProto) -> onnx.ModelProto:
    """With the name of its result as the name of each node that has none."""
    for node in model.graph.node:
        node.name = node.name or node.output[0]
    return model


def noise_of(*tensors: str, coarseness: float = 1, feeds: Sequence[Array] = FEEDS, batch: int = 1) -> dict[str, float]:
    """Noise of rounding each of these tensors; the node that reads it is the unit."""

    def build(floats: frozenset[str]) -> onnx.ModelProto:
        return named(rounded(chain(batch), set(tensors) - floats, RANGES, coarseness))

    units = [Unit(tensor, frozenset({READERS[tensor]})) for tensor in tensors]
    return unit_sqnr(units, build, named(chain(batch)), list(feeds))


def test_every_unit_is_measured_alone() -> None:
    noise = noise_of("image", "doubled", "shifted")
    assert list(noise) == ["image", "doubled", "shifted"]
    assert all(35 < decibels < 60 for decibels in noise.values())
    assert noise["doubled"] == pytest.approx(noise_of("doubled")["doubled"])


@functools.cache
def network() -> onnx.ModelProto:
    return lowering.canonicalize(build_graph(random_network(num_classes=SPEC.num_classes), SPEC))


@functools.cache
def ranges_of(make: Callable[[], onnx.ModelProto]) -> Ranges:
    return observed(make())


@pytest.mark.parametrize(
    ("target", "make"),
    [
        *itertools.product(Target, [bottleneck, attention]),
        (Target.X86, network),
        (Target.GENERIC, network),
    ],
)
def test_noise_is_that_of_a_model_with_only_this_unit_in_integers(
    target: Target, make: Callable[[], onnx.ModelProto]
) -> None:
    canonical, ranges = stamped(make()), ranges_of(make)
    units = lowering.units(canonical, target)
    nodes = {unit.name: unit.nodes for unit in units}
    asked: list[frozenset[str]] = []

    def build(floats: frozenset[str]) -> onnx.ModelProto:
        asked.append(floats)
        kept = frozenset(node for name in floats for node in nodes[name])
        return lowering.lower(canonical, ranges, target, kept).model

    feed = np.random.default_rng(1).normal(size=shape_of(canonical)).astype(np.float32)
    noise = unit_sqnr(units, build, canonical, [feed])
    assert list(noise) == list(nodes)
    assert len(asked) <= 12  # one for each unit would be a hundred
    logits = logits_of(canonical.graph)

    def run(model: onnx.ModelProto) -> Array:
        return np.asarray(ActivationsRunner(model, [logits]).run(feed)[0], np.float32)

    expected = run(canonical)
    for name in list(nodes)[:: max(1, len(nodes) // 6)]:
        found = run(build(frozenset(nodes) - {name}))
        alone = sqnr(float(np.square(expected).sum()), float(np.square(found - expected).sum()))
        assert min(noise[name], FLOAT32) == pytest.approx(min(alone, FLOAT32), abs=0.1), name


def stamped(model: onnx.ModelProto) -> onnx.ModelProto:
    """With a spec, which lowering marks as INT8."""
    onnx.helper.set_model_props(model, {METADATA_KEY: SPEC.to_json()})
    return model


def shape_of(model: onnx.ModelProto) -> list[int]:
    return [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]


def test_one_bit_less_costs_six_decibels() -> None:
    fine, coarse = (noise_of("doubled", coarseness=factor)["doubled"] for factor in (1, 2))
    assert fine - coarse == pytest.approx(6.02, abs=1.5)


def test_a_batch_that_is_not_full_is_measured_on_its_own_pictures() -> None:
    two = [np.concatenate([FEEDS[0], FEEDS[0] / 2])]
    assert noise_of("image", feeds=two, batch=5) == noise_of("image", feeds=two, batch=2)


def test_a_unit_that_changes_nothing_has_no_noise() -> None:
    idle = Unit("idle", frozenset({"doubled"}))
    assert unit_sqnr([idle], lambda floats: named(chain()), named(chain()), FEEDS) == {"idle": math.inf}


def test_progress_ends_with_all_units() -> None:
    told: list[tuple[int, int]] = []
    units = [Unit(tensor, frozenset({reader})) for tensor, reader in READERS.items()]
    unit_sqnr(
        units,
        lambda floats: named(rounded(chain(), set(READERS) - floats, RANGES)),
        named(chain()),
        FEEDS,
        lambda done, total: told.append((done, total)),
    )
    assert told[-1] == (3, 3)


def test_noise_is_measured_before_the_argmax_of_a_model_whose_output_is_a_class_map() -> None:
    text = """
        <ir_version: 9, opset_import: ["" : 18]>
        mapper (float[1, 3, 4, 4] image) => (int64[1, 4, 4] classmap) {
            logits = Relu (image)
            classmap = ArgMax <axis = 1, keepdims = 0> (logits)
        }"""
    assert logits_of(onnx.parser.parse_model(text).graph) == "logits"
    assert logits_of(chain().graph) == "logits"


def test_decibels() -> None:
    assert sqnr(100.0, 1.0) == pytest.approx(20)
    assert sqnr(1.0, 0.0) == math.inf
    assert sqnr(0.0, 1.0) == -math.inf
