from __future__ import annotations

import math

import numpy as np
import onnx
import pytest

from afformer.quantize.ranges import Range
from afformer.quantize.sensitivity import logits_of, sqnr, unit_sqnr
from tests.builders.small_onnx import chain, rounded

FEEDS = [np.random.default_rng(0).uniform(-1, 1, (1, 3, 4, 4)).astype(np.float32)]
RANGES = {"image": Range(-1, 1), "doubled": Range(-2, 2), "shifted": Range(-1, 3)}


def noise_of(*tensors: str, coarseness: float = 1) -> dict[str, float]:
    """Noise of rounding each of these tensors, which stand for units."""

    def build(floats: frozenset[str]) -> onnx.ModelProto:
        return rounded(chain(), set(tensors) - floats, RANGES, coarseness)

    return unit_sqnr(tensors, build, chain(), FEEDS)


def test_every_unit_is_measured_alone() -> None:
    noise = noise_of("image", "doubled", "shifted")
    assert list(noise) == ["image", "doubled", "shifted"]
    assert all(35 < decibels < 60 for decibels in noise.values())


def test_all_other_units_are_in_float() -> None:
    asked: list[frozenset[str]] = []

    def build(floats: frozenset[str]) -> onnx.ModelProto:
        asked.append(floats)
        return chain()

    unit_sqnr(["a", "b", "c"], build, chain(), FEEDS)
    assert asked == [{"b", "c"}, {"a", "c"}, {"a", "b"}]


def test_one_bit_less_costs_six_decibels() -> None:
    fine, coarse = (noise_of("doubled", coarseness=factor)["doubled"] for factor in (1, 2))
    assert fine - coarse == pytest.approx(6.02, abs=1.5)


def test_a_unit_that_changes_nothing_has_no_noise() -> None:
    assert unit_sqnr(["idle"], lambda floats: chain(), chain(), FEEDS) == {"idle": math.inf}


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
