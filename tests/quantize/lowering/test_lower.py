"""The whole lowering on a real network."""

from __future__ import annotations

import functools
import random
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("torch")

import torch

from afformer.errors import QuantizeError
from afformer.export.onnx_graph import build_graph
from afformer.quantize import lowering
from afformer.quantize.channels import channel_ranges
from afformer.quantize.placement import Target
from afformer.quantize.ranges import Ranges
from afformer.spec import METADATA_KEY, ModelSpec, Precision
from tests.builders.graphs import noise, observed, operators, run
from tests.builders.networks import random_network

SPEC = ModelSpec("tiny", (64, 96), tuple("abcde"), ((0, 0, 0),) * 5)


@functools.cache
def exported() -> onnx.ModelProto:
    return build_graph(random_network(), SPEC)


@functools.cache
def canonical() -> onnx.ModelProto:
    return lowering.canonicalize(exported())


@functools.cache
def equalised(target: Target) -> onnx.ModelProto:
    """With channels of very different sizes made alike: on integers some HardSwishes are gates."""
    random = np.random.default_rng(0)
    shape = [dim.dim_value for dim in canonical().graph.input[0].type.tensor_type.shape.dim]
    feeds = [3 * random.normal(size=shape).astype(np.float32)]
    found = channel_ranges(canonical(), lowering.tensors_to_equalise(canonical(), target), feeds)
    for name, channels in found.items():
        wider = 1 + 30 * (np.arange(len(channels.low)) % 7 == 0)
        found[name] = lowering.ChannelRanges(channels.low, channels.high * wider)
    return lowering.equalise(canonical(), found, target)


@pytest.mark.parametrize("target", Target)
def test_equalised_channels_leave_the_function_and_the_units_as_they_should_be(target: Target) -> None:
    model = equalised(target)
    np.testing.assert_allclose(run(model), run(canonical()), atol=2e-3)
    units = lowering.units(model, target)
    covered = [name for unit in units for name in unit.nodes]
    made = lowering.lower(model, observed(model), target)
    assert ("Clip" in operators(model)) is (target in (Target.X86, Target.ARM))
    assert sorted(covered) == sorted(made.report.integer)
    assert {unit.name for unit in units} == {unit.name for unit in lowering.units(canonical(), target)}
    everything = lowering.lower(model, observed(model), target, frozenset(covered))
    assert noise(everything.model, canonical()) < 2e-3


@functools.cache
def ranges() -> Ranges:
    return observed(canonical())


def test_the_canonical_model_is_the_same_function() -> None:
    np.testing.assert_allclose(run(canonical()), run(exported()), atol=1e-4)


def test_canonicalizing_is_deterministic_and_idempotent() -> None:
    assert lowering.canonicalize(exported()) == canonical()
    assert lowering.canonicalize(canonical()) == canonical()


@pytest.mark.parametrize("target", Target)
@pytest.mark.parametrize("bits", [7, 8])
def test_every_target_runs_and_stays_near_float(target: Target, bits: int) -> None:
    made = lowering.lower(canonical(), ranges(), target, weight_bits=bits)
    assert noise(made.model, canonical()) < 0.2
    assert len(made.report.integer) > 80


@functools.cache
def with_dead_channels() -> onnx.ModelProto:
    """A canonical model in which every third channel after a norm is a constant, with weights of 0 or about 0."""
    network = random_network()
    with torch.no_grad():
        for norm in [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]:
            norm.weight[::6] = 0
            norm.weight[3::6] = 1e-12
            norm.bias[::3] = 1.5
    return lowering.canonicalize(build_graph(network, SPEC))


@pytest.mark.parametrize("target", Target)
def test_channels_whose_folded_weights_are_about_zero_keep_their_biases(target: Target) -> None:
    float_model = with_dead_channels()
    made = lowering.lower(float_model, observed(float_model), target, weight_bits=7)
    assert noise(made.model, float_model) < 0.2


@pytest.mark.parametrize("target", Target)
def test_the_observed_tensors_suffice_whatever_is_kept_in_float(target: Target) -> None:
    wanted = lowering.tensors_to_observe(canonical(), target)
    enough = {name: ranges()[name] for name in wanted}
    units = lowering.units(canonical(), target)
    for seed in range(4):
        chosen = random.Random(seed).sample(units, len(units) // 2)
        kept = frozenset(name for unit in chosen for name in unit.nodes)
        made = lowering.lower(canonical(), enough, target, kept)
        assert not kept & set(made.report.integer)
        assert kept <= made.report.stayed_float.keys()
        assert noise(made.model, canonical()) < 0.2


@pytest.mark.parametrize("target", Target)
def test_units_cover_what_is_quantized_once(target: Target) -> None:
    covered = [name for unit in lowering.units(canonical(), target) for name in unit.nodes]
    assert len(covered) == len(set(covered))
    assert set(lowering.lower(canonical(), ranges(), target).report.integer) == set(covered)


@pytest.mark.parametrize("target", Target)
def test_reverting_every_unit_gives_the_float_model(target: Target) -> None:
    everything = frozenset(name for unit in lowering.units(canonical(), target) for name in unit.nodes)
    made = lowering.lower(canonical(), ranges(), target, everything)
    assert "QuantizeLinear" not in operators(made.model)
    # the constants of the low-pass filters have 11 bits
    assert noise(made.model, canonical()) < 2e-3


@pytest.mark.parametrize("target", Target)
def test_the_model_is_smaller_and_says_that_it_is_int8(target: Target) -> None:
    made = lowering.lower(canonical(), ranges(), target).model
    stamps = [entry.value for entry in made.metadata_props if entry.key == METADATA_KEY]
    assert [ModelSpec.from_json(stamp).precision for stamp in stamps] == [Precision.INT8]
    assert made.ByteSize() < 0.35 * exported().ByteSize()
    assert [entry.value for entry in exported().metadata_props if entry.key == METADATA_KEY] == [SPEC.to_json()]


def test_mistakes_are_named() -> None:
    with pytest.raises(QuantizeError, match="cannot keep 'nobody' in float"):
        lowering.lower(canonical(), ranges(), Target.X86, frozenset({"nobody"}))
    with pytest.raises(QuantizeError, match="`weight_bits` must be 7 or 8, got 4"):
        lowering.lower(canonical(), ranges(), Target.X86, weight_bits=4)
    with pytest.raises(QuantizeError, match="quantized already"):
        lowering.canonicalize(lowering.lower(canonical(), ranges(), Target.X86).model)


def test_openvino_runs_the_generic_model_as_onnx_runtime_does(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    path = tmp_path / "generic.onnx"
    made = lowering.lower(canonical(), ranges(), Target.GENERIC).model
    onnx.save(made, path)
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    image = np.random.default_rng(0).normal(size=compiled.input(0).shape).astype(np.float32)
    answer, want = compiled([image])[0], run(canonical())
    assert np.sqrt(np.mean((answer - want) ** 2)) < 0.12 * want.std()
