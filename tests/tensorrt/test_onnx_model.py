from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from afformer import assets
from afformer.errors import AfformerError, ExportError
from afformer.files import sha256
from afformer.spec import Precision
from afformer.tensorrt.onnx_model import check_onnx_model, read_onnx_model
from tests.builders.tensorrt_onnx import float_model, int8_model, integer_model, save
from tests.builders.tiny_onnx import SPEC, without_metadata


def test_models_of_every_precision_are_taken(tmp_path: Path) -> None:
    for path, precision in (
        (float_model(tmp_path), Precision.FP32),
        (assets.MODEL, Precision.FP16),
        (int8_model(tmp_path), Precision.INT8),
    ):
        source = read_onnx_model(path)
        assert (source.name, source.sha256, source.spec.precision) == (path.name, sha256(path), precision)
        check_onnx_model(source)


def test_integer_operators_are_refused_by_name_with_the_command_to_run(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"integers\.onnx: .*\(QLinearSigmoid\).*--target tensorrt"):
        check_onnx_model(read_onnx_model(integer_model(tmp_path)))


@pytest.mark.parametrize(("kind", "zero_point"), [(np.uint8, 128), (np.uint8, 0), (np.int8, 3)])
def test_asymmetric_quantization_is_refused(tmp_path: Path, kind: type[np.generic], zero_point: int) -> None:
    with pytest.raises(ExportError, match=r"small\.onnx: has asymmetric quantization.*--target tensorrt"):
        check_onnx_model(read_onnx_model(int8_model(tmp_path, kind, zero_point)))


def test_quantization_without_a_zero_point_is_unsigned_and_refused(tmp_path: Path) -> None:
    model = onnx.load(int8_model(tmp_path))
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            del node.input[2]
    path = save(model, tmp_path / "bare.onnx", Precision.INT8, check=False)
    with pytest.raises(ExportError, match="asymmetric"):
        check_onnx_model(read_onnx_model(path))


@pytest.mark.parametrize("claimed", [Precision.FP16, Precision.INT8])
def test_a_model_that_says_more_than_it_is_is_refused(tmp_path: Path, claimed: Precision) -> None:
    path = save(onnx.load(float_model(tmp_path)), tmp_path / "liar.onnx", claimed)
    with pytest.raises(ExportError, match=rf"liar\.onnx: says that it is {claimed.value}, but its graph is fp32"):
        check_onnx_model(read_onnx_model(path))


def test_another_graph_keeps_the_name_and_the_digest_of_its_file(tmp_path: Path) -> None:
    source = read_onnx_model(float_model(tmp_path))
    changed = source.converted(onnx.load(int8_model(tmp_path)), Precision.INT8)
    assert (changed.name, changed.sha256, changed.spec.precision) == (source.name, source.sha256, Precision.INT8)
    assert changed.spec.classes == SPEC.classes


def test_what_is_no_model_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model at all" * 50)
    for path, said in (
        (tmp_path / "none.onnx", "no such model file"),
        (tmp_path / "text.onnx", "cannot be read as an ONNX model"),
        (without_metadata(float_model(tmp_path)), "has no 'afformer_spec'"),
    ):
        with pytest.raises(AfformerError, match=f"{path.name}: {said}") as caught:
            read_onnx_model(path)
        assert "\n" not in str(caught.value)
