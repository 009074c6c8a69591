from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from afformer.errors import BackendError, SpecError
from afformer.runtime.backends.base import input_tensor
from afformer.runtime.backends.onnxruntime import OnnxRuntimeBackend
from afformer.runtime.choices import Device
from afformer.spec import InputKind, ModelSpec
from tests.builders.tiny_onnx import SPEC, variants, without_metadata, write_tiny_onnx

pytest.importorskip("openvino")

from afformer.runtime.backends.openvino import FloatPrecision, OpenVinoBackend


@pytest.mark.parametrize("spec", variants().values(), ids=variants())
def test_it_answers_like_onnx_runtime(tmp_path: Path, spec: ModelSpec) -> None:
    path = write_tiny_onnx(tmp_path / "tiny.onnx", spec)
    _, shape, _ = input_tensor(spec)
    random = np.random.default_rng(0)
    feed = random.integers(0, 256, shape, np.uint8) if spec.input is InputKind.UINT8 else random.normal(size=shape)
    feed = feed.astype(input_tensor(spec).dtype)
    with OpenVinoBackend(path) as backend, OnnxRuntimeBackend(path) as other:
        assert backend.spec == spec
        np.testing.assert_allclose(backend.run(feed), other.run(feed), atol=1e-5)


def test_floats_stay_float32_unless_asked_otherwise(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    assert "f32" in OpenVinoBackend(path).description
    assert "bf16" in OpenVinoBackend(path, precision=FloatPrecision.BFLOAT16).description


def test_a_model_without_our_metadata_says_how_to_get_it(tmp_path: Path) -> None:
    path = without_metadata(write_tiny_onnx(tmp_path / "foreign.onnx"))
    with pytest.raises(SpecError, match=r"foreign\.onnx: has no 'afformer_spec'.*afformer-cli export"):
        OpenVinoBackend(path)


def test_a_model_that_differs_from_its_spec_is_refused(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "liar.onnx", SPEC, dataclasses.replace(SPEC, batch=2))
    with pytest.raises(BackendError, match=r"liar\.onnx: differs from its own spec: expected .* but the model has"):
        OpenVinoBackend(path)


def test_cuda_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="runs on the cpu only, not on cuda"):
        OpenVinoBackend(write_tiny_onnx(tmp_path / "tiny.onnx"), device=Device.CUDA)


def test_a_negative_number_of_threads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="threads must be 0"):
        OpenVinoBackend(write_tiny_onnx(tmp_path / "tiny.onnx"), threads=-1)


@pytest.mark.parametrize("content", [None, b"", b"no model at all" * 50], ids=["missing", "empty", "garbage"])
def test_a_file_that_is_not_a_model_is_refused_in_one_line_and_nothing_is_printed(
    tmp_path: Path, content: bytes | None, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((BackendError, SpecError), match=r"^[^\n]*broken\.onnx[^\n]*$"):
        OpenVinoBackend(path)
    assert capfd.readouterr() == ("", "")
