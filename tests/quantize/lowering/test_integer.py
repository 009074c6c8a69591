from __future__ import annotations

import collections
import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from afformer.errors import QuantizeError
from afformer.quantize.grid import neighbours
from afformer.quantize.lowering.graph import Graph
from afformer.quantize.lowering.integer import lower_to_integers
from afformer.quantize.lowering.result import Lowered
from afformer.quantize.placement import TABLE, Target
from tests.builders.graphs import attention, bottleneck, noise, observed, operators, parse, run

NOTHING: frozenset[str] = frozenset()
EMULATOR = "qemu-x86_64"
RUN = """
import sys, numpy, onnxruntime
feed, found, *models = sys.argv[1:]
x = {"x": numpy.load(feed)}
numpy.save(found, [onnxruntime.InferenceSession(model).run(None, x)[0] for model in models])
"""

GRAPH = """g (float[1, 8, 8, 8] x) => (float[1, 24, 8, 8] y) {
    a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w3)
    b = Conv <kernel_shape = [1, 1]> (a, w1)
    c = Conv <kernel_shape = [1, 1]> (b, w0)
    d = Relu (c)
    y = Identity (d)
}"""


def lowered(model: onnx.ModelProto, keep_float: frozenset[str] = NOTHING, target: Target = Target.X86) -> Lowered:
    return lower_to_integers(model, observed(model), TABLE[target], keep_float, 8)


@pytest.mark.parametrize("target", [Target.X86, Target.ARM])
@pytest.mark.parametrize("activation", ["HardSwish", "Gelu", "Relu"])
def test_the_result_is_that_of_float_within_the_noise_of_eight_bits(target: Target, activation: str) -> None:
    model = bottleneck(activation)
    made = lowered(model, target=target).model
    onnx.shape_inference.infer_shapes(made, strict_mode=True)
    assert noise(made, model) < 0.03


def test_between_the_first_and_the_last_convolution_nothing_is_converted() -> None:
    made = lowered(bottleneck()).model
    assert operators(made)[:2] == ["QuantizeLinear", "Transpose"]
    assert operators(made)[-2:] == ["Transpose", "DequantizeLinear"]
    inner = collections.Counter(operators(made)[2:-2])
    assert inner == {"QLinearConv": 4, "QLinearAdd": 3, "QLinearMul": 2}


def test_hard_swish_costs_no_more_than_its_own_rounding() -> None:
    """The saturating add is exact, so a chain of one convolution is as good with the activation as without."""
    text = "g (float[1, 16, 8, 8] x) => (float[1, 16, 8, 8] y) {{ a = Conv <kernel_shape = [1, 1]> (x, w)\n {} }}"
    plain = parse(text.format("y = Identity (a)"), w=(16, 16, 1, 1))
    active = parse(text.format("y = HardSwish (a)"), w=(16, 16, 1, 1))
    assert noise(lowered(active).model, active) < 1.5 * noise(lowered(plain).model, plain)


@pytest.mark.parametrize("target", [Target.X86, Target.ARM])
def test_attention_in_float_between_integer_convolutions_gives_the_same(target: Target) -> None:
    model = attention()
    assert noise(lowered(model, target=target).model, model) < 0.05


def test_the_norm_and_the_residual_stream_need_no_transpose() -> None:
    report = lowered(attention()).report
    moved = {step.tensor for step in report.conversions if step.op_type == "Transpose"}
    assert moved == {"p", "v", "mixed", "y"}


def test_every_conversion_left_in_the_graph_is_in_the_report_with_a_reason() -> None:
    made = lowered(attention())
    counted = collections.Counter(operators(made.model))
    kept = 1  # the K^T of attention is the float graph's own transpose
    assert made.report.count("Transpose") == counted["Transpose"] - kept
    for op_type in ("QuantizeLinear", "DequantizeLinear"):
        assert made.report.count(op_type) == counted[op_type] > 0
    assert all(step.reason for step in made.report.conversions)


def test_whatever_computes_is_integer_or_has_a_reason_to_be_float() -> None:
    report = lowered(attention()).report
    assert set(report.integer) == {"v/Conv", "out/Conv"}
    assert report.stayed_float["p/Conv"] == "its neighbours run in float"
    assert report.stayed_float["high/Conv"] == "7x7 depthwise: the float kernel is faster"
    assert {
        "softmax/Softmax",
        "similarity/MatMul",
        "normed/LayerNormalization",
        "stream/Add",
    } <= report.stayed_float.keys()
    assert all(report.stayed_float.values())


def test_what_is_kept_in_float_is_float_and_its_activation_with_it() -> None:
    model = bottleneck()
    made = lowered(model, frozenset({"a/Conv"}))
    assert operators(made.model)[:2] == ["Conv", "HardSwish"]
    assert made.report.stayed_float["a/Conv"] == "the search left it in float"
    assert made.report.stayed_float["b/HardSwish"] == "its neighbours run in float"
    assert noise(made.model, model) < 0.03


def test_with_everything_in_float_the_graph_computes_exactly_what_it_did() -> None:
    for model in (bottleneck(), attention()):
        made = lowered(model, frozenset(node.name for node in model.graph.node)).model
        assert not {"QuantizeLinear", "QLinearConv"} & set(operators(made))
        np.testing.assert_allclose(run(made), run(model), atol=1e-4)


@pytest.mark.parametrize(("channels", "cells", "folded"), [(24, 48, 4), (20, 64, 4), (24, 5, 1), (64, 6, 1)])
def test_a_depthwise_1x1_kernel_gets_many_channels_and_a_multiple_of_16(channels: int, cells: int, folded: int) -> None:
    text = f"""g (float[1, {channels}, {cells}, 1] x) => (float[1, {channels}, {cells}, 1] y) {{
        a = Conv <kernel_shape = [1, 1]> (x, w0)
        b = Conv <kernel_shape = [1, 1], group = {channels}> (a, w1, b1)
        y = Conv <kernel_shape = [1, 1]> (b, w2)
    }}"""
    dense = (channels, channels, 1, 1)
    model = parse(text, w0=dense, w1=(channels, 1, 1, 1), b1=(channels,), w2=dense)
    made = lowered(model).model
    (depthwise,) = [node for node in made.graph.node if node.name == "b/Conv"]
    assert Graph(made).constants[depthwise.input[3]].shape == (channels * folded, 1, 1, 1)
    assert operators(made).count("Reshape") == (2 if folded > 1 else 0)
    assert noise(made, model) < 0.03


def test_a_tensor_without_a_range_is_named() -> None:
    model = bottleneck()
    ranges = observed(model)
    del ranges["c"]
    with pytest.raises(QuantizeError, match="tensor 'c' has no range"):
        lower_to_integers(model, ranges, TABLE[Target.X86], NOTHING, 8)


def test_lowering_is_deterministic() -> None:
    model = attention()
    assert lowered(model).model == lowered(model).model


def test_without_vnni_neighbouring_weights_of_dense_convolutions_need_a_limit() -> None:
    model = bottleneck()
    made = Graph(lower_to_integers(model, observed(model), TABLE[Target.X86], NOTHING, 7).model)
    weights = {node.name: made.constants[node.input[3]] for node in made.nodes if node.op_type == "QLinearConv"}
    pairs = {name: np.stack(neighbours(weight.astype(int))) for name, weight in weights.items()}
    sums = {name: int(np.maximum(pair, 0).sum(axis=0).max(initial=0)) for name, pair in pairs.items()}
    assert max(sums[name] for name in ("a/Conv", "e/Conv", "y/Conv")) <= 128
    assert np.abs(weights["c/Conv"].astype(int)).max() == 127
    assert sums["c/Conv"] > 128


def answers(models: list[Path], feed: Path, emulated: bool) -> np.ndarray:
    """The outputs of models here, or on an emulated processor that has AVX2 but not VNNI."""
    found = feed.with_name("found.npy")
    prefix = [EMULATOR, "-cpu", "Haswell"] if emulated else []
    python = str(Path(sys.executable).resolve())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(site.getsitepackages()), "OMP_NUM_THREADS": "1"}
    arguments = [str(path) for path in (feed, found, *models)]
    subprocess.run([*prefix, python, "-c", RUN, *arguments], check=True, env=environment, timeout=300)
    return np.asarray(np.load(found))


@pytest.mark.skipif(shutil.which(EMULATOR) is None, reason=f"{EMULATOR} (qemu-user) is not installed")
def test_only_eight_bit_weights_give_another_answer_on_processors_without_vnni(tmp_path: Path) -> None:
    """Large weights of one sign, in a dense 3x3, a 1x1 with integers behind it, and a 1x1 with floats behind it."""
    random = np.random.default_rng(0)
    shapes = {"w3": (12, 8, 3, 3), "w1": (16, 12, 1, 1), "w0": (24, 16, 1, 1)}
    positive = {name: random.uniform(0.5, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    model = parse(GRAPH, **positive)
    ranges = observed(model)
    models = [tmp_path / f"{bits}.onnx" for bits in (7, 8)]
    for path, bits in zip(models, (7, 8), strict=True):
        onnx.save(lower_to_integers(model, ranges, TABLE[Target.X86], frozenset(), bits).model, path)
    np.save(tmp_path / "feed.npy", np.full((1, 8, 8, 8), ranges["x"].high, np.float32))
    here, there = (answers(models, tmp_path / "feed.npy", emulated) for emulated in (False, True))
    assert [np.array_equal(*pair) for pair in zip(here, there, strict=True)] == [True, False]
