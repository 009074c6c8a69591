from __future__ import annotations

import math

import numpy as np
import onnx
import pytest

from afformer.quantize.placement import Target
from afformer.quantize.ranges import Range
from afformer.quantize.sensitivity import logits_of, sqnr, unit_sqnr
from tests.builders.small_onnx import RoundingLowering, chain

FEEDS = [np.random.default_rng(0).uniform(-1, 1, (1, 3, 4, 4)).astype(np.float32)]
RANGES = {"image": Range(-1, 1), "doubled": Range(-2, 2), "shifted": Range(-1, 3)}


def noise_of(lowering: RoundingLowering) -> dict[str, float]:
    units = {unit.name: unit.nodes for unit in lowering.units(chain(), Target.X86)}

    def lower(floats: frozenset[str]) -> onnx.ModelProto:
        return lowering.lower(chain(), RANGES, Target.X86, frozenset().union(*(units[unit] for unit in floats))).model

    return unit_sqnr(list(units), lower, chain(), FEEDS)


def test_every_unit_is_measured_alone() -> None:
    noise = noise_of(RoundingLowering(("Mul", "Add", "Relu")))
    assert list(noise) == ["unit doubled", "unit shifted", "unit logits"]
    assert all(35 < decibels < 60 for decibels in noise.values())


def test_all_other_units_are_in_float() -> None:
    asked: list[frozenset[str]] = []

    def lower(floats: frozenset[str]) -> onnx.ModelProto:
        asked.append(floats)
        return chain()

    unit_sqnr(["a", "b", "c"], lower, chain(), FEEDS)
    assert asked == [{"b", "c"}, {"a", "c"}, {"a", "b"}]


def test_one_bit_less_costs_six_decibels() -> None:
    fine, coarse = (noise_of(RoundingLowering(("Add",), step))["unit shifted"] for step in (1.0, 2.0))
    assert fine - coarse == pytest.approx(6.02, abs=1.5)


def test_a_unit_that_changes_nothing_has_no_noise() -> None:
    assert unit_sqnr(["idle"], lambda floats: chain(), chain(), FEEDS) == {"idle": math.inf}


def test_noise_is_measured_before_the_argmax_of_a_model_that_puts_out_class_maps() -> None:
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
