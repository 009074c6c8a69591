"""Every operator set that can be asked for: exported, run and quantized."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("torch")

from afformer import assets
from afformer.errors import ExportError
from afformer.export.choices import NEWEST_OPSET, OLDEST_OPSET, OPSET
from afformer.export.exporter import ExportOptions, export_checkpoint
from afformer.export.float16 import float32_nodes, to_float16
from afformer.export.onnx_graph import build_graph
from afformer.export.opset import opset_of, to_opset
from afformer.onnx_file import spec_of
from afformer.quantize import lowering
from afformer.quantize.placement import Target
from afformer.spec import ModelSpec, OutputKind
from tests.builders.graphs import noise, observed, operators, run
from tests.builders.networks import random_network

OPSETS = range(OLDEST_OPSET, NEWEST_OPSET + 1)
SPEC = ModelSpec("tiny", (64, 96), tuple("abcde"), ((0, 0, 0),) * 5)


@functools.cache
def newest() -> onnx.ModelProto:
    return build_graph(random_network(), SPEC)


@pytest.mark.parametrize("opset", OPSETS)
def test_the_answer_is_the_same_in_every_set(opset: int) -> None:
    made = to_opset(newest(), opset)
    onnx.checker.check_model(made, full_check=True)
    assert opset_of(made) == opset
    assert ("Gelu" in operators(made)) == (opset >= 20)
    assert made.ir_version <= (8 if opset < 19 else 10)
    np.testing.assert_allclose(run(made), run(newest()), atol=1e-5)
    assert np.isfinite(run(to_float16(made, float32_nodes(made)))).all()


@pytest.mark.parametrize("opset", [17, 18, 19])
def test_going_back_to_the_newest_set_gives_the_same_graph(opset: int) -> None:
    back = to_opset(to_opset(newest(), opset), OPSET)
    assert operators(back) == operators(newest())
    assert [node.name for node in back.graph.node] == [node.name for node in newest().graph.node]


@pytest.mark.parametrize("target", Target)
def test_an_older_model_is_quantized_in_its_own_set_and_as_well(target: Target) -> None:
    canonical = lowering.canonicalize(to_opset(newest(), 17))
    made = lowering.lower(canonical, observed(canonical), target, weight_bits=7, opset=17).model
    onnx.checker.check_model(made, full_check=target in (Target.TENSORRT, Target.GENERIC))
    assert opset_of(made) == 17
    assert noise(made, newest()) < 0.2
    assert spec_of(made, "the model").target is target


def test_a_checkpoint_is_exported_in_the_oldest_set(tmp_path: Path) -> None:
    options = ExportOptions((64, 96), output=OutputKind.CLASSMAP, opset=OLDEST_OPSET)
    report = export_checkpoint(assets.CHECKPOINT, tmp_path / "old.onnx", options)
    assert opset_of(onnx.load(report.path)) == OLDEST_OPSET
    assert report.verification.pixel_agreement >= 0.9995


@pytest.mark.parametrize("opset", [16, 24])
def test_other_sets_are_refused(opset: int) -> None:
    with pytest.raises(ExportError, match=f"`opset` must be 17 to 23, but got {opset}"):
        ExportOptions((64, 96), opset=opset)
