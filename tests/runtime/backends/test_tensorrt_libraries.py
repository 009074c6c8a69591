from __future__ import annotations

import sys
from pathlib import Path

import pytest

from afformer.runtime.backends.tensorrt_libraries import load_tensorrt_10, tensorrt_10_command


@pytest.mark.skipif(sys.platform != "linux", reason="names of Linux")
def test_tensorrt_of_pip_packages_goes_before_that_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr("ctypes.CDLL", loaded.append)
    load_tensorrt_10()
    names = ["libnvinfer.so.10", "libnvinfer_plugin.so.10", "libnvonnxparser.so.10"]
    assert loaded == names
    folder = tmp_path / "tensorrt_libs"
    folder.mkdir()
    for name in ("__init__.py", *names):
        (folder / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    load_tensorrt_10()
    assert loaded[3:] == [str(folder / name) for name in names]


@pytest.mark.parametrize(("cuda", "package"), [("12.8", "cu12"), ("13.0", "cu13"), ("", "cu13")])
def test_tensorrt_10_is_that_of_the_cuda_of_onnx_runtime(cuda: str, package: str) -> None:
    assert tensorrt_10_command(cuda) == f'pip install "tensorrt-{package}<11"'
