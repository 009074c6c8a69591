from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest

from afformer.tensorrt.byte_tensors import rewrite_byte_tensors

BYTES_IN = """
    <ir_version: 10, opset_import: ["" : 20]>
    bytes (uint8[1, 4, 6, 3] image) => (float[1, 3, 4, 6] logits) <float half = {0.5}> {
        turned = Transpose <perm = [0, 3, 1, 2]> (image)
        x = Cast <to = 1> (turned)
        logits = Mul (x, half)
    }"""
CLASSES_OUT = """
    <ir_version: 10, opset_import: ["" : 20]>
    classes (float[1, 3, 4, 6] image) => (uint8[1, 4, 6] classmap) {
        ids = ArgMax <axis = 1, keepdims = 0> (image)
        classmap = Cast <to = 2> (ids)
    }"""
FLOATS = """
    <ir_version: 10, opset_import: ["" : 20]>
    floats (float[1, 3, 4, 6] image) => (float[1, 3, 4, 6] logits) { logits = Relu (image) }"""


def parse(text: str) -> onnx.ModelProto:
    model = onnx.parser.parse_model(text)
    for index, node in enumerate(model.graph.node):
        node.name = f"{index}/{node.op_type}"
    return model


def run(model: onnx.ModelProto) -> npt.NDArray[np.generic]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feed = session.get_inputs()[0]
    random = np.random.default_rng(0)
    values = random.integers(0, 256, feed.shape).astype(np.uint8 if "uint8" in feed.type else np.float32)
    answer: npt.NDArray[np.generic] = session.run(None, {feed.name: values})[0]
    return answer


@pytest.mark.parametrize("text", [BYTES_IN, CLASSES_OUT, FLOATS])
def test_the_rewritten_graph_is_the_same_function(text: str) -> None:
    np.testing.assert_array_equal(run(rewrite_byte_tensors(parse(text))), run(parse(text)))


@pytest.mark.parametrize("text", [BYTES_IN, CLASSES_OUT, FLOATS])
def test_rewriting_leaves_the_model_alone_and_is_idempotent(text: str) -> None:
    model = parse(text)
    once = rewrite_byte_tensors(model)
    assert model == parse(text)
    assert rewrite_byte_tensors(once) is once


def test_bytes_are_converted_before_anything_else_touches_them() -> None:
    first, second, *_ = rewrite_byte_tensors(parse(BYTES_IN)).graph.node
    assert (first.op_type, second.op_type) == ("Cast", "Transpose")
    assert (first.input[0], first.name) == ("image", "1/Cast")


def test_bytes_are_made_of_floats_at_the_end() -> None:
    before, last = list(rewrite_byte_tensors(parse(CLASSES_OUT)).graph.node)[-2:]
    assert [before.op_type, last.op_type] == ["Cast", "Cast"]
    assert before.attribute[0].i == onnx.TensorProto.FLOAT
    assert last.output[0] == "classmap"


def test_a_model_of_floats_is_handed_on_as_it_is() -> None:
    model = parse(FLOATS)
    assert rewrite_byte_tensors(model) is model
