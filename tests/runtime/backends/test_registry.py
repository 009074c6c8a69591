from __future__ import annotations

from pathlib import Path

import pytest

from afformer.errors import BackendError
from afformer.runtime.backends.onnxruntime import OnnxRuntimeBackend
from afformer.runtime.backends.registry import Registration, Registry, backend_names, open_backend
from tests.builders.tiny_onnx import write_tiny_onnx


def test_the_ending_of_a_file_chooses_the_backend(tmp_path: Path) -> None:
    assert isinstance(open_backend(write_tiny_onnx(tmp_path / "tiny.onnx")), OnnxRuntimeBackend)
    assert isinstance(open_backend(write_tiny_onnx(tmp_path / "LOUD.ONNX")), OnnxRuntimeBackend)


def test_a_name_overrules_the_ending(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "model.bin")
    assert isinstance(open_backend(str(path), "onnxruntime", device="cpu", threads=1), OnnxRuntimeBackend)


def test_an_unknown_ending_lists_the_known_ones() -> None:
    with pytest.raises(BackendError, match=r"no backend opens '\.txt' files; known endings: \.onnx, \.pth"):
        open_backend("model.txt")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(BackendError, match="unknown backend 'onnx'; known backends: onnxruntime, openvino, pytorch"):
        open_backend("model.onnx", "onnx")
    assert backend_names()[:3] == ("onnxruntime", "openvino", "pytorch")


def test_an_unknown_device_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="unknown device 'gpu'; known devices: cpu, cuda"):
        open_backend(write_tiny_onnx(tmp_path / "tiny.onnx"), device="gpu")


def test_a_missing_dependency_names_its_extra() -> None:
    registry = Registry()
    registry.register("dream", Registration("dreamlib.engine:Engine", (".dream",), extra="dream"))
    with pytest.raises(BackendError, match=r"needs the Python module 'dreamlib'.*pip install \"afformer\[dream\]\""):
        registry.open("model.dream")


def test_names_and_endings_are_taken_once() -> None:
    registry = Registry()
    registry.register("a", Registration("m:A", (".a",)))
    with pytest.raises(ValueError, match="'a' is registered twice"):
        registry.register("a", Registration("m:A2", (".a2",)))
    with pytest.raises(ValueError, match=r"'\.a' files are opened by the backend 'a' already"):
        registry.register("b", Registration("m:B", (".b", ".a")))
    assert registry.names() == ("a",)


def test_an_exported_model_has_one_size_and_another_is_refused(tmp_path: Path) -> None:
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    assert open_backend(path, input_hw=(64, 96)).spec.input_hw == (64, 96)
    with pytest.raises(BackendError, match=r"tiny\.onnx: is a model for 64x96 only"):
        open_backend(path, input_hw=(64, 128))


def test_thousands_of_threads_are_refused_before_they_are_started(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"9999 threads are too many for this machine; expected 0 \(automatic\) to"):
        open_backend(tmp_path / "model.onnx", threads=9999)
