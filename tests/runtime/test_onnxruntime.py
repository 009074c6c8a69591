from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from afformer.errors import BackendError, SpecError
from afformer.runtime.backend import Device
from afformer.runtime.onnxruntime import OnnxRuntimeBackend
from afformer.spec import ModelSpec
from tests.runtime.tiny_models import SPEC, variants, without_metadata, write_tiny_onnx


def test_the_spec_comes_from_the_file(tmp_path: Path) -> None:
    for number, spec in enumerate(variants().values()):
        assert OnnxRuntimeBackend(write_tiny_onnx(tmp_path / f"{number}.onnx", spec)).spec == spec


def test_threads_are_passed_on_and_described(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    backend = OnnxRuntimeBackend(path, threads=1)
    assert "1 thread" in backend.description
    feed = np.random.default_rng(0).normal(size=(1, 3, 64, 96)).astype(np.float32)
    np.testing.assert_allclose(backend.run(feed), OnnxRuntimeBackend(path).run(feed), atol=1e-6)


def test_a_model_without_our_metadata_says_how_to_get_it(tmp_path: Path) -> None:
    path = without_metadata(write_tiny_onnx(tmp_path / "foreign.onnx"))
    with pytest.raises(SpecError, match=r"foreign\.onnx: has no 'afformer_spec'.*afformer-cli export"):
        OnnxRuntimeBackend(path)


@pytest.mark.parametrize(
    "stamped",
    [
        dataclasses.replace(SPEC, input_hw=(64, 128)),
        dataclasses.replace(SPEC, batch=2),
        dataclasses.replace(SPEC, classes=("a", "b", "c"), palette=SPEC.palette[:3]),
        variants()["bytes in"],
        variants()["class map out"],
    ],
    ids=["size", "batch", "classes", "input", "output"],
)
def test_a_model_that_differs_from_its_spec_is_refused(tmp_path: Path, stamped: ModelSpec) -> None:
    path = write_tiny_onnx(tmp_path / "liar.onnx", SPEC, stamped)
    with pytest.raises(BackendError, match=r"liar\.onnx: differs from its own spec: expected .* but the model has"):
        OnnxRuntimeBackend(path)


@pytest.mark.skipif("CUDAExecutionProvider" in ort.get_available_providers(), reason="CUDA is there")
def test_cuda_that_is_not_there_is_an_error_and_never_the_cpu(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"cuda is not available.*onnxruntime-gpu"):
        OnnxRuntimeBackend(write_tiny_onnx(tmp_path / "tiny.onnx"), device=Device.CUDA)


def test_cuda_that_is_installed_but_does_not_start_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    session = ort.InferenceSession
    # What ONNX Runtime does when CUDA's libraries are missing: it warns, and gives a session on the CPU.
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", lambda path, options, providers: session(path, options))
    with pytest.raises(BackendError, match=r"could not start cuda.*onnxruntime-gpu"):
        OnnxRuntimeBackend(path, device=Device.CUDA)


def test_a_negative_number_of_threads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="threads must be 0"):
        OnnxRuntimeBackend(write_tiny_onnx(tmp_path / "tiny.onnx"), threads=-1)


def test_a_truncated_model_is_refused_and_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_tiny_onnx(tmp_path / "cut.onnx")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises((BackendError, SpecError), match=r"cut\.onnx"):
        OnnxRuntimeBackend(path)
    assert capfd.readouterr() == ("", "")


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    folder = tmp_path / "folder.onnx"
    folder.mkdir()
    with pytest.raises(BackendError, match=r"folder\.onnx: no such model file"):
        OnnxRuntimeBackend(folder)


def test_feeds_in_turn_and_feeds_that_change_in_place_are_read_anew(tmp_path: Path) -> None:
    dark, bright = np.full((1, 3, 64, 96), -2, np.float32), np.full((1, 3, 64, 96), 2, np.float32)
    with OnnxRuntimeBackend(write_tiny_onnx(tmp_path / "tiny.onnx")) as backend:
        of_dark, of_bright = backend.run(dark).copy(), backend.run(bright).copy()
        assert (of_dark != of_bright).any()
        np.testing.assert_array_equal(backend.run(dark), of_dark)
        dark[:] = bright
        np.testing.assert_array_equal(backend.run(dark), of_bright)
        for _ in range(3):  # arrays that are gone at once may follow each other in the same memory
            np.testing.assert_array_equal(backend.run(np.full_like(dark, 2)), of_bright)
            np.testing.assert_array_equal(backend.run(np.full_like(dark, -2)), of_dark)


def test_the_answer_is_the_same_buffer_every_time(tmp_path: Path) -> None:
    feed = np.zeros((1, 3, 64, 96), np.float32)
    with OnnxRuntimeBackend(write_tiny_onnx(tmp_path / "tiny.onnx")) as backend:
        answer = backend.run(feed)
        assert backend.run(feed) is answer
    assert np.isfinite(answer).all()  # and it outlives the engine
