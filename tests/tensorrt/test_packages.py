from __future__ import annotations

from pathlib import Path

import pytest

from afformer.errors import BackendError
from afformer.tensorrt import packages
from afformer.tensorrt.packages import Library
from tests.nvidia.pretend import machine_with_gpu, machine_without


def test_what_is_not_installed_is_named_with_the_line_that_installs_it() -> None:
    with machine_without():
        assert not packages.installed(Library.TENSORRT)
        with pytest.raises(BackendError, match=r"TensorRT is not installed; run `pip install tensorrt onnx cuda-bin"):
            packages.load(Library.TENSORRT)
        with pytest.raises(BackendError, match=r"TensorRT-RTX is not installed; run `pip install tensorrt-rtx-cu13-li"):
            packages.load(Library.TENSORRT_RTX)


def test_the_line_fits_the_driver() -> None:
    assert packages.install_command(Library.TENSORRT, 12) == 'pip install tensorrt-cu12 onnx "cuda-bindings<13"'
    assert packages.install_command(Library.TENSORRT, 13) == 'pip install tensorrt onnx "cuda-bindings<14"'
    assert "tensorrt-rtx-cu12-libs" in packages.install_command(Library.TENSORRT_RTX, 12)


def test_a_driver_for_cuda_11_gets_no_line_but_the_reason() -> None:
    for library in Library:
        with pytest.raises(
            BackendError, match=r"supports CUDA 11, but engines need a driver for CUDA 12 or later; install a l"
        ):
            packages.install_command(library, 11)


def test_a_jetson_takes_the_tensorrt_of_its_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nv_tegra_release").touch()
    monkeypatch.setattr("afformer.tensorrt.gpu._JETSON", tmp_path / "nv_tegra_release")
    assert "apt-get install python3-libnvinfer" in packages.install_command(Library.TENSORRT)


def test_what_is_installed_is_loaded() -> None:
    with machine_with_gpu() as machine:
        assert packages.installed(Library.TENSORRT)
        assert packages.load(Library.TENSORRT) is machine.tensorrt


def test_an_installation_without_its_libraries_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.10: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendError, match=r"cannot be loaded \(libnvinfer\.so\.10: .*install it again"):
        packages.load(Library.TENSORRT)


def test_versions_before_10_3_are_refused() -> None:
    with (
        machine_with_gpu(version="8.6.1"),
        pytest.raises(BackendError, match=r"TensorRT 8\.6\.1 is too old, expected 10\.3 or later"),
    ):
        packages.load(Library.TENSORRT)


@pytest.mark.parametrize(
    ("version", "numbers"), [("10.3.0", (10, 3, 0)), ("11.4.0.106", (11, 4, 0, 106)), ("10.3.0.post1", (10, 3, 0))]
)
def test_versions_are_numbers(version: str, numbers: tuple[int, ...]) -> None:
    assert packages.version_numbers(version) == numbers
