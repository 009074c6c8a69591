from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from afformer.quantize.activations import ActivationsRunner
from afformer.quantize.candidates import Candidates
from afformer.quantize.placement import Target
from afformer.quantize.ranges import Range
from afformer.spec import METADATA_KEY, ModelSpec, Precision
from tests.builders.tiny_onnx import SPEC

TWO_CONVOLUTIONS = """
    <ir_version: 9, opset_import: ["" : 18]>
    two (float[1, 1, 2, 2] image) => (float[1, 1, 2, 2] logits)
    <float[1, 1, 1, 1] one = {1}, float[1] zero = {0}> {
        first = Conv (image, one, zero)
        logits = Conv (first, one, zero)
    }"""
RANGES = {"image": Range(0, 255), "first": Range(0, 255)}
FEED = np.array([[[[1, 2], [3, 4]]]], np.float32)


def model(biases: tuple[float, float] | None = None) -> onnx.ModelProto:
    """Two convolutions that change nothing, or with these biases as corrections."""
    made = onnx.parser.parse_model(TWO_CONVOLUTIONS)
    for node, bias in zip(made.graph.node, biases or (), strict=biases is not None):
        node.input[2] = f"{node.output[0]}.corrected"
        made.graph.initializer.append(numpy_helper.from_array(np.array([bias], np.float32), node.input[2]))
    for node in made.graph.node:
        node.name = node.output[0]
    onnx.helper.set_model_props(made, {METADATA_KEY: SPEC.to_json()})
    return made


@pytest.fixture
def candidates(tmp_path: Path) -> Candidates:
    return Candidates(
        model(), RANGES, target=Target.GENERIC, weight_bits=8, folder=tmp_path, corrected=model((10.0, 20.0))
    )


@pytest.mark.parametrize(
    ("floats", "added"), [(set(), 30), ({"first"}, 20), ({"logits"}, 10), ({"first", "logits"}, 0)]
)
def test_biases_are_corrected_in_integer_units_only(candidates: Candidates, floats: set[str], added: float) -> None:
    made = candidates.model(frozenset(floats))
    found = np.asarray(ActivationsRunner(made).run(FEED)[0], np.float32)
    assert found == pytest.approx(FEED + added, abs=1e-4)


def test_a_candidate_is_made_once(candidates: Candidates) -> None:
    assert candidates.build(frozenset()) is candidates.build(frozenset())
    assert candidates.build(frozenset({"first"})).path != candidates.build(frozenset()).path


def test_candidates_say_that_they_are_int8_and_keep_the_rest_of_their_spec(candidates: Candidates) -> None:
    written = onnx.load(candidates.build(frozenset()).path)
    (spec,) = (ModelSpec.from_json(entry.value) for entry in written.metadata_props if entry.key == METADATA_KEY)
    assert spec.precision is Precision.INT8
    assert (spec.classes, spec.input_hw) == (SPEC.classes, SPEC.input_hw)
    assert spec.tools["onnx"] == onnx.__version__


def test_the_float_model_is_left_as_it_was(tmp_path: Path) -> None:
    canonical = model()
    before = canonical.SerializeToString()
    made = Candidates(canonical, RANGES, target=Target.GENERIC, weight_bits=8, folder=tmp_path)
    made.build(frozenset())
    assert canonical.SerializeToString() == before
