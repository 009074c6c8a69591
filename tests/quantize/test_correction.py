from __future__ import annotations

import numpy as np
import onnx
import pytest

from afformer.quantize.correction import channel_means, correct_biases, mean_shift
from afformer.quantize.lowering.graph import Graph
from afformer.quantize.lowering.qdq import lower_to_qdq
from afformer.quantize.placement import TABLE, Target
from tests.builders.graphs import observed, operators, parse

SHIFTED = np.random.default_rng(5).normal(2.0, 0.2, (6, 1, 8, 4, 4)).astype(np.float32)


def chain(group: int) -> onnx.ModelProto:
    return parse(
        f"""
        chain (float[1, 8, 4, 4] x) => (float[1, 8, 2, 2] y) {{
            y = Conv <kernel_shape = [3, 3], group = {group}> (x, w)
        }}""",
        w=(8, 8 // group, 3, 3),
    )


def test_means_are_those_of_the_channels_over_all_feeds() -> None:
    means = channel_means(chain(1), SHIFTED)
    np.testing.assert_allclose(means["x"], SHIFTED.mean(axis=(0, 1, 3, 4)), rtol=1e-6)


def test_no_feeds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one feed"):
        channel_means(chain(1), [])


@pytest.mark.parametrize("group", [1, 2, 8])
def test_the_mean_error_of_the_output_vanishes(group: int) -> None:
    model = chain(group)
    means = channel_means(model, SHIFTED)
    corrected = correct_biases(model, means, weight_bits=7)
    assert operators(corrected) == ["Conv"]

    def mean_output(made: onnx.ModelProto) -> np.ndarray:
        rounded = lower_to_qdq(made, observed(model), TABLE[Target.GENERIC], frozenset(), 7).model
        graph = Graph(rounded)
        # without the rounding of activations: only what the weights do
        weights_only = onnx.ModelProto()
        weights_only.CopyFrom(rounded)
        del weights_only.graph.node[:]
        kept = [
            n
            for n in graph.nodes
            if n.op_type == "Conv" or (n.op_type, n.output[0]) == ("DequantizeLinear", "w.dequantized")
        ]
        weights_only.graph.node.extend(kept)
        for node in weights_only.graph.node:
            if node.op_type == "Conv":
                node.input[0] = "x"
        return channel_means(_with_reader(weights_only), SHIFTED)["y"]

    want = channel_means(_with_reader(model), SHIFTED)["y"]
    before = np.abs(mean_output(model) - want).max()
    after = np.abs(mean_output(corrected) - want).max()
    assert after < 0.1 * before


def _with_reader(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with a convolution behind it, so that its output is the input of one."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.node.append(onnx.helper.make_node("Conv", ["y", "one"], ["z"], name="z", kernel_shape=[1, 1], group=8))
    copy.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((8, 1, 1, 1), np.float32), "one"))
    copy.graph.output[0].name = "z"
    return copy


def test_a_worked_example() -> None:
    weight = np.array([[[[1.0]], [[1 / 300]]]], np.float32)  # 1/300 rounds to 0 in steps of 1/127
    np.testing.assert_allclose(mean_shift(weight, np.array([5.0, 30.0]), groups=1), [-0.1], atol=1e-6)


def test_depthwise_weights_may_have_more_bits_than_the_others() -> None:
    def bias(group: int, depthwise_bits: int | None) -> np.ndarray:
        model = chain(group)
        return Graph(correct_biases(model, channel_means(model, SHIFTED), 7, depthwise_bits)).constants["y.corrected"]

    assert not np.allclose(bias(8, 8), bias(8, None), rtol=1e-3)
    np.testing.assert_array_equal(bias(2, 8), bias(2, None))
