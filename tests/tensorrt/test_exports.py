"""That TensorRT's own parser and builder take every kind of model that this package exports."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from pathlib import Path

import onnx
import pytest

pytest.importorskip("torch")

from afformer.errors import ExportError
from afformer.export.float16 import float32_nodes, to_float16
from afformer.export.onnx_graph import build_graph, stamp
from afformer.model.network import AFFormerConfig
from afformer.onnx_file import spec_of
from afformer.quantize import lowering
from afformer.quantize.placement import Target
from afformer.spec import InputKind, ModelSpec, OutputKind, Precision
from afformer.tensorrt.engine_info import EngineInfo
from afformer.tensorrt.packages import Library
from tests.builders.graphs import observed
from tests.builders.networks import random_network
from tests.nvidia.rtx import build_with_rtx, needs_rtx

pytestmark = needs_rtx

VARIANTS = ("tiny", "small", "base")
KINDS = list(itertools.product(InputKind, OutputKind))
SPEC = ModelSpec("tiny", (64, 96), tuple("abcde"), ((0, 0, 0),) * 5)


@functools.cache
def exported(spec: str) -> onnx.ModelProto:
    """A float32 model of that spec, with random weights."""
    parsed = ModelSpec.from_json(spec)
    return build_graph(random_network(getattr(AFFormerConfig, parsed.variant)()), parsed)


def brought_to(precision: Precision, model: onnx.ModelProto) -> onnx.ModelProto:
    """As export and quantization do it."""
    if precision is Precision.INT8:
        prepared = lowering.canonicalize(model)
        return lowering.lower(prepared, observed(prepared, seeds=2), Target.TENSORRT).model
    if precision is Precision.FP32:
        return model
    converted = to_float16(model, float32_nodes(model))
    stamp(converted, dataclasses.replace(spec_of(model, "model"), precision=precision))
    return converted


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_in_every_precision_parses_and_builds(tmp_path: Path, variant: str, precision: Precision) -> None:
    model = exported(dataclasses.replace(SPEC, variant=variant).to_json())
    report = build_with_rtx(brought_to(precision, model), tmp_path)
    file = EngineInfo.beside(report.path)
    assert (file.spec.variant, file.spec.precision, file.library) == (variant, precision, Library.TENSORRT_RTX)
    assert file.gpu is None
    assert report.counts.convolutions > 100
    assert report.counts.asked > 0.95 * report.counts.convolutions
    assert report.bytes > 1e6


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0].value} to {kind[1].value}")
def test_every_kind_of_input_and_output_parses_and_builds(
    tmp_path: Path, kind: tuple[InputKind, OutputKind], precision: Precision
) -> None:
    batch = 1 if kind == KINDS[0] else 3
    model = exported(dataclasses.replace(SPEC, input=kind[0], output=kind[1], batch=batch).to_json())
    report = build_with_rtx(brought_to(precision, model), tmp_path)
    assert report.counts.asked > 100
    assert (report.info.spec.input, report.info.spec.output, report.info.spec.batch) == (*kind, batch)


@pytest.mark.parametrize("target", [Target.X86, Target.GENERIC])
def test_int8_of_another_target_is_refused_before_tensorrt_has_to(tmp_path: Path, target: Target) -> None:
    prepared = lowering.canonicalize(exported(SPEC.to_json()))
    model = lowering.lower(prepared, observed(prepared, seeds=1), target).model
    with pytest.raises(ExportError, match="--target tensorrt"):
        build_with_rtx(model, tmp_path)
    assert not (tmp_path / "model.engine").exists()
