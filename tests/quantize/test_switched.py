from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper

from afformer.quantize.activations import open_session
from afformer.quantize.islands import Island
from afformer.quantize.lowering.graph import Graph
from afformer.quantize.switched import ACTIVE, NOISY, Switched, with_switches

Array = npt.NDArray[np.float32]

TEXT = """
    <ir_version: 9, opset_import: ["" : 18]>
    line (float[3] image) => (float[3] logits) <float[1] two = {2}> {
        fixed = Neg (two)
        a = Mul (image, two)
        b = Add (a, fixed)
        c = Mul (b, two)
        side = Neg (c)
        logits = Add (c, side)
        dead = Neg (a)
    }"""
IMAGE = np.array([1, 2, 3], np.float32)
HUNDRED = helper.make_tensor("value", onnx.TensorProto.FLOAT, [1], [100])


def line() -> onnx.ModelProto:
    return onnx.parser.parse_model(TEXT)


def adding(source: str, *made: str) -> Island:
    """Adds a hundred to a tensor and gives the result under some names."""
    nodes = [helper.make_node("Add", [source, "value"], ["more"])]
    nodes += [helper.make_node("Identity", ["more"], [name]) for name in made]
    return Island(tuple(nodes), {"value": HUNDRED})


def switched(*islands: Island, output: str = "c") -> Switched:
    typed = onnx.shape_inference.infer_shapes(line()).graph
    types = {value.name: value for value in [*typed.input, *typed.value_info, *typed.output]}
    return with_switches(Graph(line()), types, islands, output)


def run(made: Switched, active: int, **tensors: Array) -> list[float]:
    """The output, with the values of the float graph's tensors by their names."""
    feeds = {name: tensors[tensor] for name, tensor in made.inputs.items()}
    (output,) = open_session(made.model).run([NOISY], {ACTIVE: np.array(active), **feeds})
    return [float(value) for value in output]


def test_the_active_unit_alone_takes_the_place_of_its_float_nodes() -> None:
    made = switched(adding("image", "a"), adding("a", "b"))
    values = {"image": IMAGE, "a": 2 * IMAGE}
    assert run(made, 0, **values) == [2 * (image + 100 - 2) for image in (1, 2, 3)]
    assert run(made, 1, **values) == [2 * (2 * image + 100) for image in (1, 2, 3)]


def test_any_other_number_leaves_all_units_in_float() -> None:
    made = switched(adding("image", "a"), adding("a", "b"))
    assert run(made, 2, image=IMAGE, a=2 * IMAGE) == [2 * (2 * image - 2) for image in (1, 2, 3)]


def test_what_depends_on_no_unit_is_cut_off() -> None:
    made = switched(adding("a", "b"))
    assert set(made.inputs.values()) == {"a", "b"}
    assert run(made, 0, a=IMAGE, b=IMAGE) == [202, 204, 206]
    assert run(made, 1, a=IMAGE, b=IMAGE) == [2, 4, 6]


def test_one_tensor_may_be_computed_from_another_of_the_same_unit_in_float() -> None:
    made = switched(adding("b", "c", "side"), output="logits")
    assert run(made, 0, b=IMAGE, c=IMAGE) == [202, 204, 206]
    assert run(made, 1, b=IMAGE, c=IMAGE) == [0, 0, 0]


@pytest.mark.parametrize("active", [0, 1])
def test_a_unit_that_does_not_lead_to_the_output_changes_nothing(active: int) -> None:
    assert run(switched(adding("a", "dead")), active, c=IMAGE) == [1, 2, 3]


def test_weights_of_several_units_may_have_one_name() -> None:
    other = Island(adding("b", "c").nodes, {"value": helper.make_tensor("value", onnx.TensorProto.FLOAT, [1], [7])})
    made = switched(adding("a", "b"), other)
    assert run(made, 0, a=IMAGE, b=IMAGE) == [202, 204, 206]
    assert run(made, 1, a=IMAGE, b=IMAGE) == [8, 9, 10]
