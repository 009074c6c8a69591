from __future__ import annotations

import collections

import numpy as np
import onnx
import pytest

from afformer.errors import QuantizeError
from afformer.quantize.lowering.graph import Graph
from afformer.quantize.lowering.qdq import lower_to_qdq
from afformer.quantize.lowering.result import Lowered
from afformer.quantize.placement import TABLE, Target
from tests.builders.graphs import attention, bottleneck, noise, observed, operators, parse, run

NOTHING: frozenset[str] = frozenset()
TARGETS = [Target.GENERIC, Target.TENSORRT]


def lowered(model: onnx.ModelProto, target: Target, keep_float: frozenset[str] = NOTHING) -> Lowered:
    return lower_to_qdq(model, observed(model), TABLE[target], keep_float, 8)


@pytest.mark.parametrize("target", TARGETS)
def test_the_result_is_that_of_float_within_the_noise_of_eight_bits(target: Target) -> None:
    for model in (bottleneck(), attention()):
        made = lowered(model, target).model
        onnx.checker.check_model(made, full_check=True)
        assert noise(made, model) < 0.05


@pytest.mark.parametrize("target", TARGETS)
def test_every_convolution_reads_dequantized_input_and_weight(target: Target) -> None:
    graph = Graph(lowered(attention(), target).model)
    for node in graph.nodes:
        if node.op_type == "Conv":
            assert graph.maker(node.input[1], "DequantizeLinear"), node.name
            source = graph.producer[node.input[0]]
            while source.op_type in ("Reshape", "Transpose"):
                source = graph.producer[source.input[0]]
            assert source.op_type == "DequantizeLinear", node.name


def test_the_pair_stands_before_the_views_that_lead_to_a_convolution() -> None:
    graph = Graph(lowered(attention(), Target.GENERIC).model)
    assert graph.consumers["normed"][0].op_type == "QuantizeLinear"
    assert graph.producer["first"].input[0] == "normed.dequantized"


def test_softmax_and_its_product_are_left_alone() -> None:
    graph = Graph(lowered(attention(), Target.TENSORRT).model)
    assert graph.maker(graph.producer["softmax"].input[0], "Reshape")
    assert graph.maker(graph.producer["similarity"].input[0], "Reshape")


def test_tensorrt_gets_the_residual_operand_of_an_add_quantized_and_not_the_convolution_before_it() -> None:
    graph = Graph(lowered(bottleneck(), Target.TENSORRT).model)
    residual, fused = graph.producer["f"].input
    assert graph.maker(residual, "DequantizeLinear")
    assert fused == "e"


def test_tensorrt_gets_symmetric_int8_and_float_biases_only() -> None:
    graph = Graph(lowered(attention(), Target.TENSORRT).model)
    zeros = [graph.constants[n.input[2]] for n in graph.nodes if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert all(zero.dtype == np.int8 and not zero.any() for zero in zeros)
    assert all(v.dtype != np.int32 for v in graph.constants.values())


def crossing(tokens: int) -> onnx.ModelProto:
    return parse(
        f"""
        cross (float[1, 4, 32, {tokens // 32}] x) => (float[1, 4, {tokens}] y) <int64[3] flat = {{1, 4, {tokens}}}> {{
            v = Conv <kernel_shape = [1, 1]> (x, w)
            y = Reshape (v, flat)
        }}""",
        w=(4, 4, 1, 1),
    )


def test_what_changes_layout_a_page_apart_does_so_as_bytes_for_openvino() -> None:
    ends = {tokens: operators(lowered(crossing(tokens), Target.GENERIC).model)[-2:] for tokens in (1024, 1056)}
    assert ends == {1024: ["DequantizeLinear", "Reshape"], 1056: ["Conv", "Reshape"]}
    assert operators(lowered(crossing(1024), Target.TENSORRT).model)[-2:] == ["Conv", "Reshape"]


def rows_times_a_matrix(width: int) -> onnx.ModelProto:
    return parse(
        f"""
        rows (float[1, 4, 32, {width}] x) => (float[1, 4, 32, 3] y) {{
            v = Conv <kernel_shape = [1, 1]> (x, w)
            y = MatMul (v, pool)
        }}""",
        w=(4, 4, 1, 1),
        pool=(width, 3),
    )


def test_a_product_of_rows_has_three_axes_where_openvino_changes_the_layout_of_what_it_reads() -> None:
    ends = {width: operators(lowered(rows_times_a_matrix(width), Target.GENERIC).model)[-4:] for width in (32, 33)}
    assert ends[32] == ["DequantizeLinear", "Reshape", "MatMul", "Reshape"]
    assert ends[33][-2:] == ["Conv", "MatMul"]
    assert noise(lowered(rows_times_a_matrix(32), Target.GENERIC).model, rows_times_a_matrix(32)) < 0.05


def test_rows_are_a_view_of_the_view_that_is_there_already() -> None:
    model = parse(
        """
        views (float[1, 4, 32, 32] x) => (float[1, 2, 2, 1024] heads, float[1, 4, 32, 3] y)
        <int64[4] split = {1, 2, 2, 1024}> {
            v = Conv <kernel_shape = [1, 1]> (x, w)
            heads = Reshape (v, split)
            y = MatMul (v, pool)
        }""",
        w=(4, 4, 1, 1),
        pool=(32, 3),
    )
    made = lowered(model, Target.GENERIC).model
    graph = Graph(made)
    product = next(node for node in graph.nodes if node.op_type == "MatMul")
    assert graph.producer[product.input[0]].input[0] == "heads"
    assert noise(made, model) < 0.05


@pytest.mark.parametrize("target", TARGETS)
def test_every_pair_is_in_the_report_with_a_reason(target: Target) -> None:
    made = lowered(attention(), target)
    counted = collections.Counter(operators(made.model))
    convolutions = counted["Conv"]
    assert made.report.count("QuantizeLinear") == counted["QuantizeLinear"]
    assert made.report.count("DequantizeLinear") == counted["DequantizeLinear"] - convolutions
    assert all(step.reason for step in made.report.conversions)
    assert all(made.report.stayed_float.values())


@pytest.mark.parametrize("target", TARGETS)
def test_with_everything_in_float_the_graph_computes_exactly_what_it_did(target: Target) -> None:
    model = attention()
    made = lowered(model, target, frozenset(node.name for node in model.graph.node)).model
    assert operators(made) == operators(model)
    np.testing.assert_array_equal(run(made), run(model))


def test_a_shared_weight_is_dequantized_once() -> None:
    model = parse(
        """
        shared (float[1, 4, 5, 5] x) => (float[1, 4, 5, 5] y) {
            a = Conv <kernel_shape = [1, 1]> (x, w)
            y = Conv <kernel_shape = [1, 1]> (a, w)
        }""",
        w=(4, 4, 1, 1),
    )
    assert operators(lowered(model, Target.GENERIC).model).count("DequantizeLinear") == 3


def test_a_tensor_without_a_range_is_named() -> None:
    model = bottleneck()
    ranges = observed(model)
    del ranges["b"]
    with pytest.raises(QuantizeError, match="tensor 'b' has no range"):
        lower_to_qdq(model, ranges, TABLE[Target.GENERIC], NOTHING, 8)
