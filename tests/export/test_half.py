"""float16 as a GPU computes it: overflow and underflow are found, and what they would hit stays in float32."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from afformer.errors import ExportError
from afformer.export.float16 import to_float16
from afformer.export.half import half_model, kept_summary
from afformer.export.half_emulation import emulated
from afformer.runtime.preprocess import fit_picture
from afformer.spec import ModelSpec
from tests.builders.graphs import parse, run

SPEC = ModelSpec("tiny", (16, 24), tuple("abcde"), ((0, 0, 0),) * 5)
PICTURES = [np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8) for seed in range(3)]


def chain(up: float = 1.0, middle: str = "first") -> onnx.ModelProto:
    """Convolutions, an activation and a product; one layer is scaled up, and the next one down."""
    random = np.random.default_rng(0)
    weights = {"w0": (8, 3, 3, 3), "w1": (8, 8, 1, 1), "w2": (5, 8, 1, 1), "tokens": (384, 384)}
    values = {name: random.normal(0, 0.2, shape).astype(np.float32) for name, shape in weights.items()}
    values["w0"] *= np.float32(up)
    values["w1"] /= np.float32(up)
    return parse(
        f"""g (float[1, 3, 16, 24] image) => (float[1, 5, 384] logits) {{
            first = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (image, w0)
            again = Identity ({middle})
            second = Conv <kernel_shape = [1, 1]> (again, w1)
            active = HardSwish (second)
            third = Conv <kernel_shape = [1, 1]> (active, w2)
            flat = Reshape (third, shape)
            logits = MatMul (flat, tokens)
        }}""",
        **values,
        shape=np.array([1, 5, 384]),
    )


def half_answer(model: onnx.ModelProto) -> npt.NDArray[np.float32]:
    """What numpy computes, in half precision where the model is."""
    image = fit_picture(PICTURES[0], SPEC).tensor[None]
    with np.errstate(over="ignore", invalid="ignore"):
        (answer,) = ReferenceEvaluator(model).run(None, {"image": image})
    return np.asarray(answer)


def assert_close(got: npt.NDArray[np.float32], want: npt.NDArray[np.float32]) -> None:
    assert np.isfinite(got).all()
    assert np.abs(got - want).max() < 0.01 * np.abs(want).max()


@pytest.mark.parametrize("up", [1.0, 1e5, 1e9, 1e-6, 1e-9])
def test_whatever_the_scale_of_a_layer_the_answer_in_half_precision_is_that_of_float32(up: float) -> None:
    model = chain(up)
    made = half_model(model, SPEC, PICTURES)
    assert_close(half_answer(made.model), half_answer(model))
    assert ("second/Conv" in made.kept) == (up != 1.0)
    assert "third/Conv" not in made.kept


def test_without_that_care_numpy_finds_the_overflow_that_onnx_runtime_hides() -> None:
    naive = to_float16(chain(1e5), ())
    assert np.isfinite(run(naive)).all()
    assert not np.isfinite(half_answer(naive)).all()
    assert not np.isfinite(run(emulated(naive))).all()


def test_the_emulation_rounds_as_half_precision_does() -> None:
    naive = to_float16(chain(), ())
    found = half_answer(emulated(naive))
    assert_close(found, half_answer(naive))
    assert len(np.unique(found)) == len(np.unique(found.astype(np.float16)))


def test_sums_are_watched_not_only_results() -> None:
    """Large terms that cancel out: the result is small, but not what is summed on the way."""
    model = chain()
    w0 = next(i for i in model.graph.initializer if i.name == "w0")
    weight = onnx.numpy_helper.to_array(w0).copy()
    weight[0] = 0
    weight[0, :2, 1, 1] = (1.5e4, -1.5e4)
    w0.CopyFrom(onnx.numpy_helper.from_array(weight, "w0"))
    grey = [np.repeat(picture[:, :, :1], 3, axis=2) for picture in PICTURES]
    spec = ModelSpec("tiny", (16, 24), tuple("abcde"), ((0, 0, 0),) * 5, mean=(120.0,) * 3, std=(60.0,) * 3)
    kept = half_model(model, spec, grey).kept
    assert kept["first/Conv"].startswith("sums of products up to")


@pytest.mark.parametrize("value", [1e6, 1e-7])
def test_constants_that_float16_cannot_hold_are_not_clipped(value: float) -> None:
    model = parse(
        "g (float[1, 3, 16, 24] image) => (float[1, 3, 16, 24] y) { y = Div (image, c) }",
        c=np.full(1, value, np.float32),
    )
    made = half_model(model, SPEC, PICTURES)
    assert made.kept.keys() == {"y/Div"}
    np.testing.assert_allclose(half_answer(made.model), half_answer(model), rtol=1e-6)


def test_a_tensor_between_two_operators_in_float32_is_never_in_float16() -> None:
    model = chain(1e9)
    made = to_float16(model, {"first/Conv", "again/Identity", "second/Conv"})
    types = {v.name: v.type.tensor_type.elem_type for v in onnx.shape_inference.infer_shapes(made).graph.value_info}
    assert types["first"] == types["again"] == onnx.TensorProto.FLOAT
    casts = [node.input[0] for node in made.graph.node if node.op_type == "Cast"]
    assert casts == ["second", "logits.half"]


def test_inputs_and_outputs_keep_their_types_and_names() -> None:
    model = chain()
    made = to_float16(model, ())
    onnx.checker.check_model(made, full_check=True)
    assert list(made.graph.input) == list(model.graph.input)
    assert list(made.graph.output) == list(model.graph.output)
    assert {i.data_type for i in made.graph.initializer} == {onnx.TensorProto.FLOAT16, onnx.TensorProto.INT64}


def test_what_is_kept_is_one_line() -> None:
    assert kept_summary({}) == ""
    assert kept_summary({"a/Conv": "values up to 1e+06"}).endswith("numbers: a/Conv (values up to 1e+06)")
    assert kept_summary({"a": "x", "b": "y", "c": "z"}).endswith("a (x) and 2 more operators")


def test_a_model_that_would_be_float32_throughout_is_refused() -> None:
    model = chain()
    for weights in model.graph.initializer:
        if weights.name.startswith(("w", "tokens")):
            weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(1e6), weights.name))
    with pytest.raises(ExportError, match=r"any of the 4 convolutions and matrix products .* use `precision=fp32`"):
        half_model(model, SPEC, PICTURES)
