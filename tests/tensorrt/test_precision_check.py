from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from afformer import assets
from afformer.errors import ExportError
from afformer.spec import Precision
from afformer.tensorrt.precision_check import check_engine, check_network
from tests.builders.tensorrt_onnx import float_model, int8_model
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
        counts = check_network(TRT, network(path), precision, path.name)
        assert (counts.convolutions, counts.asked) == (asked, asked)
        assert counts.layers == len(onnx.load(path).graph.node)


@pytest.mark.parametrize("asked", [Precision.FP16, Precision.INT8])
def test_a_float_network_that_should_be_less_is_an_error(tmp_path: Path, asked: Precision) -> None:
    path = float_model(tmp_path)
    with pytest.raises(ExportError, match=rf"m: {asked.value} was asked for, but TensorRT reads none of its 1 conv"):
        check_network(TRT, network(path), asked, "m")


def test_an_int8_network_is_not_taken_for_a_float_one(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="fp32 was asked for"):
        check_network(TRT, network(int8_model(tmp_path)), Precision.FP32, "m")


def layer(kind: str, reads: str = "", kernel: str = "", writes: str = "", **more: Any) -> dict[str, Any]:
    return {
        "Name": "c",
        "LayerType": kind,
        "Inputs": [{"Format/Datatype": reads}],
        "Outputs": [{"Format/Datatype": writes}],
        "TacticName": kernel,
        **more,
    }


def described(*layers: dict[str, Any] | str) -> str:
    return json.dumps({"Layers": layers, "Bindings": []})


FLOAT = "Row major linear FP32"
LANES = "Thirty-two wide channel vectorized row major Int8 format"


@pytest.mark.parametrize(
    ("precision", "sign"),
    [
        (Precision.INT8, layer("CaskConvolution", LANES)),
        (Precision.INT8, layer("CaskConvolution", LANES, Weights={"Type": "Int8", "Count": 9})),
        (Precision.INT8, layer("correlation", "Int8")),
        (Precision.INT8, layer("kgen", "", "sm80_xmma_fprop_implicit_gemm_interleaved_i8i8_i8i32_f32_nchw_vect_c_32")),
        (Precision.INT8, layer("gemm", "", "sm86_xmma_gemm_s8s8_s8s32")),
        (Precision.INT8, layer("CaskGemmConvolution", "", "ampere_int8_i16832gemm_imma_128x64")),
        (Precision.FP16, layer("CaskJitConv", "Channel major FP16 format where channel % 8 == 0")),
        (Precision.FP16, layer("MatrixMultiply", "Half")),
        (Precision.FP16, layer("", "", "sm80_xmma_fprop_implicit_gemm_f16f16_f16f16_f16_nhwckrsc_nhwc")),
    ],
)
def test_layers_that_multiply_tell_the_precision_by_what_they_read_or_by_their_kernel(
    precision: Precision, sign: dict[str, Any]
) -> None:
    plan = described("a name alone", layer("CaskConvolution", FLOAT), sign, sign)
    assert check_engine(plan, precision, "m") == 2


FLOAT_KERNEL = "sm80_xmma_fprop_implicit_gemm_f32f32_f32f32_f32_nhwckrsc"


@pytest.mark.parametrize(
    ("precision", "layers"),
    [
        (Precision.INT8, [layer("CaskConvolution", "UInt8")]),
        (Precision.INT8, [layer("Reformat", "Row major linear UInt8 format", "", FLOAT)]),
        (
            Precision.INT8,
            [
                layer("Quantize", FLOAT, "", "Int8"),
                layer("Dequantize", "Int8", "dequantize_i8_kernel", FLOAT),
                layer("CaskConvolution", FLOAT, FLOAT_KERNEL),
            ],
        ),
        (Precision.INT8, [layer("Reformat", LANES, "imma_reformat"), layer("PointWiseV2", "Int8")]),
        (Precision.INT8, [layer("CaskConvolution", "Int8", "f32f32_tf32f32", Weights={"Type": "Float", "Count": 9})]),
        (Precision.INT8, [layer("CaskConvolution", FLOAT, FLOAT_KERNEL, "Int8")]),
        (Precision.FP16, [layer("Cast", FLOAT, "", "Half"), layer("CaskConvolution", FLOAT, "", "Half")]),
        (Precision.FP16, [layer("Reformat", "Half", "h884_copy"), layer("PointWise", "Half")]),
        (Precision.FP16, [layer("gemm", "BFloat16", "sm80_xmma_gemm_bf16bf16_f32")]),
        (Precision.FP16, [layer("gemm", FLOAT, "cutlass_tensorop_s1688gemm_128x128")]),  # TensorFloat-32
        *(
            (precision, [layer("CaskConvolution", FLOAT, kernel), layer("Shuffle", "Int64")])
            for precision in (Precision.INT8, Precision.FP16)
            for kernel in ("", FLOAT_KERNEL, "sm75_s88_f128", "ampere_scudnn_128x64")
        ),
    ],
)
def test_an_engine_whose_arithmetic_is_float_is_an_error_whatever_is_converted_around_it(
    precision: Precision, layers: list[dict[str, Any]]
) -> None:
    with pytest.raises(ExportError, match=rf"m: {precision.value} was asked for, but none of the {len(layers)} layers"):
        check_engine(described(*layers), precision, "m")


def test_float32_needs_no_proof() -> None:
    assert check_engine(described(layer("Cast", "Float"), layer("Cast", "Half")), Precision.FP32, "m") == 2
