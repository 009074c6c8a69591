from __future__ import annotations

import numpy as np
import onnx
import pytest

from afformer.quantize.channels import channel_ranges
from afformer.quantize.lowering import ChannelRanges, equalise, tensors_to_equalise
from afformer.quantize.lowering.equal_sum import sum_of
from afformer.quantize.lowering.equalise import scales_and_shifts
from afformer.quantize.lowering.graph import Graph
from afformer.quantize.lowering.integer import lower_to_integers
from afformer.quantize.lowering.node_placement import NodePlacement
from afformer.quantize.lowering.qdq import lower_to_qdq
from afformer.quantize.placement import TABLE, Target
from tests.builders.graphs import attention, bottleneck, noise, observed, operators, parse, run

UNEVEN = np.geomspace(0.01, 1, 16).astype(np.float32)


def feeds(model: onnx.ModelProto) -> list[np.ndarray]:
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    return [np.random.default_rng(seed).normal(size=shape).astype(np.float32) for seed in range(4)]


def ranges_of(model: onnx.ModelProto, target: Target) -> dict[str, ChannelRanges]:
    return channel_ranges(model, tensors_to_equalise(model, target), feeds(model))


def equalised(model: onnx.ModelProto, target: Target) -> onnx.ModelProto:
    made = equalise(model, ranges_of(model, target), target)
    onnx.checker.check_model(made, full_check=True)
    return made


def changed(model: onnx.ModelProto, **factors: np.ndarray) -> onnx.ModelProto:
    """The model with some of its constants multiplied."""
    for constant in model.graph.initializer:
        if constant.name in factors:
            values = onnx.numpy_helper.to_array(constant) * factors[constant.name]
            constant.CopyFrom(onnx.numpy_helper.from_array(values, constant.name))
    return model


def uneven() -> onnx.ModelProto:
    """A bottleneck with channels of very different sizes between its depthwise and its second dense convolution."""
    column = UNEVEN.reshape(-1, 1, 1, 1)
    return changed(bottleneck(), w1=column, w2=1 / column[:, :, 0].reshape(1, -1, 1, 1))


def float_sum() -> onnx.ModelProto:
    """A convolution that the integer kernels do not take, an activation in float, and a dense convolution."""
    return parse(
        """
        chain (float[1, 3, 9, 10] x) => (float[1, 8, 9, 10] y) {
            a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w0)
            b = Relu (a)
            y = Conv <kernel_shape = [1, 1]> (b, w1)
        }""",
        w0=(16, 3, 3, 3),
        w1=(8, 16, 1, 1),
    )


def uneven_swish() -> onnx.ModelProto:
    """The same with channels so large that HardSwish is about max(x, 0)."""
    column = 300 * UNEVEN.reshape(-1, 1, 1, 1)
    return changed(bottleneck(), w1=column, w2=1 / column.reshape(1, -1, 1, 1))


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("model", [bottleneck(), bottleneck("Gelu"), attention()])
def test_the_function_stays_the_same(model: onnx.ModelProto, target: Target) -> None:
    made = equalised(model, target)
    np.testing.assert_allclose(run(made), run(model), rtol=1e-3, atol=1e-3 * np.abs(run(model)).max())


def test_all_channels_get_about_the_same_range() -> None:
    model = changed(attention(), g=UNEVEN, b=UNEVEN)
    made = equalised(model, Target.GENERIC)
    found = channel_ranges(made, ["first.equal"], feeds(model))["first.equal"]
    np.testing.assert_allclose(found.high, -found.low, rtol=1e-3)  # the shift puts zero in the middle
    assert found.high.min() > 0.5 * found.high.max()  # only channels of less than a thousandth have less


def test_uneven_channels_keep_more_of_themselves_in_int8() -> None:
    model = uneven()

    def int8_noise(made: onnx.ModelProto) -> float:
        lowered = lower_to_qdq(made, observed(made), TABLE[Target.GENERIC], frozenset(), 8)
        return noise(lowered.model, model)

    assert int8_noise(equalised(model, Target.GENERIC)) < 0.6 * int8_noise(model)


def test_a_convolution_between_convolutions_and_a_norm_cost_no_operator() -> None:
    model = parse(
        """
        chain (float[1, 16, 6, 7] x) => (float[1, 16, 6, 7] y) {
            a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], group = 16> (x, w0, b0)
            y = Conv <kernel_shape = [1, 1]> (a, w1)
        }""",
        w0=(16, 1, 3, 3),
        b0=(16,),
        w1=(16, 16, 1, 1),
    )
    for target in Target:
        made = equalised(model, target)
        assert operators(made) == ["Conv", "Conv"]
        assert made.graph.node[0].output == ["a.equal"]
    norms = [node for node in equalised(attention(), Target.X86).graph.node if node.op_type == "LayerNormalization"]
    assert [node.output[0] for node in norms] == ["normed.equal"]


def test_only_engines_that_fuse_it_get_a_multiplication() -> None:
    assert "Mul" in operators(equalised(bottleneck(), Target.GENERIC))
    for target in (Target.TENSORRT, Target.X86, Target.ARM):
        assert "Mul" not in operators(equalised(bottleneck("Gelu"), target))


@pytest.mark.parametrize("target", [Target.X86, Target.ARM])
def test_hard_swish_becomes_a_gate_where_channels_differ_and_the_target_runs_what_is_written(target: Target) -> None:
    made = equalised(uneven_swish(), target)
    assert operators(made) == ["Conv", "HardSwish", "Conv", "Conv", "Clip", "Mul", "Conv", "Add", "Conv"]
    np.testing.assert_allclose(run(made), run(uneven_swish()), rtol=1e-3, atol=1e-3)
    assert "HardSwish" in operators(equalised(uneven_swish(), Target.GENERIC))


@pytest.mark.parametrize("target", [Target.X86, Target.ARM])
def test_a_tensor_made_in_float_is_quantized_with_a_scale_for_each_channel(target: Target) -> None:
    model = changed(float_sum(), w0=UNEVEN.reshape(-1, 1, 1, 1), w1=1 / UNEVEN.reshape(1, -1, 1, 1))
    made = equalised(model, target)
    assert operators(made) == ["Conv", "Relu", "Mul", "Conv"]
    lowered = lower_to_integers(made, observed(made), TABLE[target], frozenset({"a/Conv"}), 8)
    (quantize,) = [node for node in lowered.model.graph.node if node.op_type == "QuantizeLinear"]
    assert dict(Graph(lowered.model).constants)[quantize.input[1]].shape == (16,)
    assert "Mul" not in operators(lowered.model)
    plain = lower_to_integers(model, observed(model), TABLE[target], frozenset({"a/Conv"}), 8)
    assert noise(lowered.model, model) < 0.6 * noise(plain.model, model)
    in_float = lower_to_integers(made, observed(made), TABLE[target], frozenset({"a/Conv", "y/Conv"}), 8)
    assert "Mul" in operators(in_float.model)
    assert noise(in_float.model, model) < 1e-5


@pytest.mark.parametrize("target", [Target.X86, Target.ARM])
def test_a_gate_on_integers_is_a_convolution_and_a_product_and_adds_less_noise(target: Target) -> None:
    def lowered(model: onnx.ModelProto, kept: frozenset[str] = frozenset()) -> onnx.ModelProto:
        return lower_to_integers(model, observed(model), TABLE[target], kept, 8).model

    plain, gated = uneven_swish(), equalised(uneven_swish(), target)
    assert operators(lowered(gated)).count("QLinearConv") == operators(lowered(plain)).count("QLinearConv") + 1
    assert "Clip" not in operators(lowered(gated))
    assert noise(lowered(gated), plain) < 0.7 * noise(lowered(plain), plain)
    everything = frozenset(node.name for node in gated.graph.node)
    assert noise(lowered(gated, everything), plain) < 1e-4


def test_what_is_not_quantized_goes_on_to_read_the_tensor_itself() -> None:
    made = equalised(bottleneck(), Target.GENERIC)
    (add,) = [node for node in made.graph.node if node.output[0] == "f"]
    assert list(add.input) == ["b", "e"]


def test_padded_readers_get_no_shift_because_padding_is_zero() -> None:
    made = equalised(bottleneck(), Target.GENERIC)
    shifted = [node.input[0] for node in made.graph.node if node.output[0].endswith(".shifted")]
    assert shifted == ["d"]  # the only one that is read by 1x1 convolutions alone


def test_a_channel_that_never_changes_is_harmless() -> None:
    dead = np.where(np.arange(16) < 3, 0, 1).astype(np.float32)
    model = changed(bottleneck(), w0=dead.reshape(-1, 1, 1, 1), b0=dead)
    np.testing.assert_allclose(run(equalised(model, Target.GENERIC)), run(model), rtol=1e-3, atol=1e-3)


def test_without_channel_ranges_nothing_changes() -> None:
    model = bottleneck()
    assert equalise(model, {}, Target.GENERIC) is model


def test_shifts_centre_every_channel_and_scales_are_half_its_width() -> None:
    ranges = ChannelRanges(np.array([0.0, -1.0]), np.array([4.0, 0.0]))
    scale, shift = scales_and_shifts(ranges, np.ones(2), shifts=True, symmetric=False)
    np.testing.assert_allclose(shift, [2, -0.5])
    np.testing.assert_allclose(scale, [2, 0.5])


def test_without_shifts_a_channel_must_fit_the_part_below_zero_as_well() -> None:
    ranges = ChannelRanges(np.array([-0.375, -0.375]), np.array([30.0, 0.1]))
    scale, shift = scales_and_shifts(ranges, np.ones(2), shifts=False, symmetric=False)
    assert not shift.any()
    below, above = (-ranges.low / scale).max(), (ranges.high / scale).max()
    np.testing.assert_allclose(below / (below + above), 0.06)  # the split that adds least noise
    np.testing.assert_allclose(scale[0] / scale[1], (30 / 0.94) / (0.375 / 0.06))


def test_symmetric_scales_follow_the_larger_end() -> None:
    ranges = ChannelRanges(np.array([-8.0, -1.0]), np.array([2.0, 2.0]))
    scale, _ = scales_and_shifts(ranges, np.ones(2), shifts=False, symmetric=True)
    np.testing.assert_allclose(scale, [2, 0.5])


def sum_of_maps(coarse: np.ndarray) -> onnx.ModelProto:
    """A coarse map, enlarged, on a fine one that something else reads, too, and one that nothing else reads."""
    model = parse(
        """
        sum (float[1, 16, 8, 8] x) => (float[1, 8, 8, 8] y, float[1, 16, 8, 8] z)
        <int64[4] size = {1, 16, 8, 8}> {
            a = Conv <kernel_shape = [1, 1]> (x, w0)
            fine = HardSwish (a)
            low = Conv <kernel_shape = [1, 1], strides = [2, 2]> (fine, w1)
            raised = Relu (low)
            coarse = Resize <mode = "linear", coordinate_transformation_mode = "align_corners"> (raised, , , size)
            local = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], group = 16> (fine, w2)
            both = Add (fine, local)
            all = Add (both, coarse)
            y = Conv <kernel_shape = [1, 1]> (all, w3)
            z = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], group = 16> (fine, w2)
        }""",
        w0=(16, 16, 1, 1),
        w1=(16, 16, 1, 1),
        w2=(16, 1, 3, 3),
        w3=(8, 16, 1, 1),
    )
    column = coarse.astype(np.float32)
    return changed(model, w1=column.reshape(-1, 1, 1, 1), w3=1 / np.maximum(column, 1).reshape(1, -1, 1, 1))


@pytest.mark.parametrize("target", [Target.X86, Target.ARM])
def test_a_sum_is_divided_term_by_term_where_its_channels_differ(target: Target) -> None:
    model = sum_of_maps(np.geomspace(1, 300, 16))
    made = equalised(model, target)
    added = [node.output[0] for node in made.graph.node if node.output[0].endswith(".equal")]
    assert set(added) >= {"fine.equal", "local.equal", "both.equal", "raised.equal", "coarse.equal", "all.equal"}
    np.testing.assert_allclose(run(made), run(model), rtol=1e-3, atol=1e-3 * np.abs(run(model)).max())

    def int8_noise(made: onnx.ModelProto) -> float:
        return noise(lower_to_integers(made, observed(made), TABLE[target], frozenset(), 8).model, model)

    assert int8_noise(made) < 0.8 * int8_noise(model)


@pytest.mark.parametrize("target", [Target.X86, Target.ARM])
def test_a_sum_of_channels_that_are_alike_stays_as_it_is(target: Target) -> None:
    assert "both.equal" not in {node.output[0] for node in equalised(sum_of_maps(np.ones(16)), target).graph.node}


def test_a_sum_of_what_is_made_in_float_cannot_be_divided() -> None:
    model = sum_of_maps(np.geomspace(1, 300, 16))
    graph = Graph(model)
    for kept, divisible in ((frozenset[str](), True), (frozenset({"a/Conv"}), False)):
        placement = NodePlacement(graph, TABLE[Target.X86], kept)
        assert (sum_of(graph, placement, "all") is not None) is divisible
    assert sum_of(graph, NodePlacement(graph, TABLE[Target.X86], frozenset()), "fine") is None
