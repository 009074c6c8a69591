from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from afformer.quantize.placement import Target
from afformer.quantize.ranges import Range
from afformer.quantize.session import Session
from afformer.quantize.workshop import Workshop
from afformer.spec import METADATA_KEY, ModelSpec, Precision
from tests.builders.small_onnx import RoundingLowering
from tests.builders.tiny_onnx import SPEC

TWO_CONVOLUTIONS = """
    <ir_version: 9, opset_import: ["" : 18]>
    two (float[1, 1, 2, 2] image) => (float[1, 1, 2, 2] logits)
    <float[1, 1, 1, 1] one = {1}, float[1] zero = {0}> {
        first = Conv (image, one, zero)
        logits = Conv (first, one, zero)
    }"""
RANGES = {"image": Range(0, 255), "first": Range(0, 255)}
FEED = np.float32([[[[1, 2], [3, 4]]]])


def model(biases: tuple[float, float] | None = None) -> onnx.ModelProto:
    """Two convolutions that change nothing, or with these biases as corrections."""
    made = onnx.parser.parse_model(TWO_CONVOLUTIONS)
    for node, bias in zip(made.graph.node, biases or (), strict=biases is not None):
        node.input[2] = f"{node.output[0]}.corrected"
        made.graph.initializer.append(numpy_helper.from_array(np.array([bias], np.float32), node.input[2]))
    for node in made.graph.node:
        node.name = node.output[0]
    return made


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(
        RoundingLowering(),
        model(),
        RANGES,
        target=Target.X86,
        weight_bits=8,
        spec=SPEC,
        folder=tmp_path,
        corrected=model((10.0, 20.0)),
    )


@pytest.mark.parametrize(
    ("floats", "added"), [(set(), 30), ({"unit first"}, 20), ({"unit logits"}, 10), ({"unit first", "unit logits"}, 0)]
)
def test_biases_are_corrected_in_integer_units_only(workshop: Workshop, floats: set[str], added: float) -> None:
    made = workshop.model(frozenset(floats))
    np.testing.assert_allclose(Session(made).run(FEED)[0], FEED + added, atol=1e-4)


def test_a_candidate_is_made_once(workshop: Workshop) -> None:
    assert workshop.build(frozenset()) is workshop.build(frozenset())
    assert workshop.build(frozenset({"unit first"})).path != workshop.build(frozenset()).path


def test_candidates_say_that_they_are_int8_and_keep_the_rest_of_their_spec(workshop: Workshop) -> None:
    written = onnx.load(workshop.build(frozenset()).path)
    (spec,) = (ModelSpec.from_json(entry.value) for entry in written.metadata_props if entry.key == METADATA_KEY)
    assert spec.precision is Precision.INT8
    assert (spec.classes, spec.input_hw) == (SPEC.classes, SPEC.input_hw)


def test_the_prepared_model_is_left_as_it_was(tmp_path: Path) -> None:
    prepared = model()
    before = prepared.SerializeToString()
    made = Workshop(RoundingLowering(), prepared, RANGES, target=Target.X86, weight_bits=8, spec=SPEC, folder=tmp_path)
    made.build(frozenset())
    assert prepared.SerializeToString() == before
