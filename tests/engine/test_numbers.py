from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from afformer import assets
from afformer.engine.numbers import check_network, check_plan
from afformer.errors import ExportError
from afformer.spec import Precision
from tests.engine.models import float_model, int8_model
from tests.nvidia.pretend_cuda import PretendCuda
from tests.nvidia.pretend_tensorrt import INetworkDefinition, pretend_tensorrt

TRT = pretend_tensorrt(PretendCuda())


def network(path: Path) -> INetworkDefinition:
    parsed = INetworkDefinition()
    parsed._fill(onnx.load(path).SerializeToString())
    return parsed


def test_convolutions_are_counted_in_the_precision_that_was_asked_for(tmp_path: Path) -> None:
    for path, precision, asked in (
        (float_model(tmp_path), Precision.FP32, 1),
        (int8_model(tmp_path), Precision.INT8, 1),
        (assets.MODEL, Precision.FP16, 108),
    ):
        numbers = check_network(TRT, network(path), precision, path.name)
        assert (numbers.convolutions, numbers.asked) == (asked, asked)
        assert numbers.layers == len(onnx.load(path).graph.node)


@pytest.mark.parametrize("asked", [Precision.FP16, Precision.INT8])
def test_a_float_network_that_should_be_less_is_an_error(tmp_path: Path, asked: Precision) -> None:
    path = float_model(tmp_path)
    with pytest.raises(ExportError, match=rf"m: {asked.value} was asked for, but TensorRT reads none of its 1 conv"):
        check_network(TRT, network(path), asked, "m")


def test_an_int8_network_is_not_taken_for_a_float_one(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="fp32 was asked for"):
        check_network(TRT, network(int8_model(tmp_path)), Precision.FP32, "m")


def layer(kind: str = "", tactic: str = "") -> dict[str, Any]:
    return {"Name": "c", "Inputs": [{"Format/Datatype": kind}], "Outputs": [], "TacticName": tactic}


def described(*layers: dict[str, Any] | str) -> str:
    return json.dumps({"Layers": layers, "Bindings": []})


@pytest.mark.parametrize(
    ("precision", "sign"),
    [
        (Precision.INT8, layer("Thirty-two wide channel vectorized row major Int8 format")),
        (Precision.INT8, layer("", "sm80_xmma_fprop_implicit_gemm_interleaved_i8i8_i8i32_f32_nchw_vect_c_32")),
        (Precision.INT8, layer("", "sm86_xmma_gemm_s8s8_s8s32")),
        (Precision.FP16, layer("Channel major FP16 format where channel % 8 == 0")),
        (Precision.FP16, layer("Half")),
        (Precision.FP16, layer("", "sm80_xmma_fprop_implicit_gemm_f16f16_f16f16_f16_nhwckrsc_nhwc")),
    ],
)
def test_types_of_tensors_and_names_of_kernels_tell_the_precision(precision: Precision, sign: dict[str, Any]) -> None:
    assert check_plan(described("a name alone", layer("Row major linear FP32"), sign, sign), precision, "m") == 2


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.FP16])
@pytest.mark.parametrize(
    "kernel", ["", "sm80_xmma_fprop_implicit_gemm_f32f32_f32f32_f32_nhwckrsc", "sm75_s88_f128", "ampere_scudnn_128x64"]
)
def test_an_engine_in_float32_that_should_be_less_is_an_error(precision: Precision, kernel: str) -> None:
    plan = described(layer("Row major linear FP32", kernel), layer("Float"), layer("Int64"))
    with pytest.raises(ExportError, match=rf"m: {precision.value} was asked for, but none of the 3 layers"):
        check_plan(plan, precision, "m")


def test_float32_needs_no_proof() -> None:
    assert check_plan(described(layer("Float"), layer("Half")), Precision.FP32, "m") == 2
