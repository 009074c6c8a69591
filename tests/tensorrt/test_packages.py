from __future__ import annotations

import sys
from pathlib import Path

import pytest

from afformer.errors import BackendError
from afformer.tensorrt import packages as nvidia
from afformer.tensorrt.plan_file import Library
from tests.nvidia.pretend import machine_with_gpu, machine_without


def test_what_is_not_installed_is_named_with_the_line_that_installs_it() -> None:
    with machine_without():
        assert not nvidia.installed(Library.TENSORRT)
        with pytest.raises(BackendError, match=r"TensorRT is not installed; run `pip install tensorrt onnx cuda-bin"):
            nvidia.load(Library.TENSORRT)
        with pytest.raises(BackendError, match=r"TensorRT-RTX is not installed; run `pip install tensorrt-rtx-cu13-li"):
            nvidia.load(Library.TENSORRT_RTX)


def test_the_line_fits_the_driver() -> None:
    assert nvidia.install_command(Library.TENSORRT, 12) == 'pip install tensorrt-cu12 onnx "cuda-bindings<13"'
    assert nvidia.install_command(Library.TENSORRT, 13) == 'pip install tensorrt onnx "cuda-bindings<14"'
    assert "tensorrt-rtx-cu12-libs" in nvidia.install_command(Library.TENSORRT_RTX, 12)


def test_a_driver_for_cuda_11_gets_no_line_but_the_reason() -> None:
    for library in Library:
        with pytest.raises(
            BackendError, match=r"knows CUDA 11, but engines need one for CUDA 12 or later; install a l"
        ):
            nvidia.install_command(library, 11)


def test_a_jetson_takes_the_tensorrt_of_its_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nv_tegra_release").touch()
    monkeypatch.setattr(nvidia, "_JETSON", tmp_path / "nv_tegra_release")
    assert nvidia.is_jetson()
    assert "apt-get install python3-libnvinfer" in nvidia.install_command(Library.TENSORRT)


def test_what_is_installed_is_loaded() -> None:
    with machine_with_gpu() as machine:
        assert nvidia.installed(Library.TENSORRT)
        assert nvidia.load(Library.TENSORRT) is machine.tensorrt


def test_an_installation_without_its_libraries_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.10: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendError, match=r"cannot be loaded \(libnvinfer\.so\.10: .*install it again"):
        nvidia.load(Library.TENSORRT)


def test_versions_before_10_3_are_refused() -> None:
    with (
        machine_with_gpu(version="8.6.1"),
        pytest.raises(BackendError, match=r"TensorRT 8\.6\.1 is too old, expected 10\.3 or later"),
    ):
        nvidia.load(Library.TENSORRT)


def tool(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program that answers for NVIDIA's."""
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_first_gpu_is_that_of_nvidias_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(tmp_path, monkeypatch, "echo 'NVIDIA A10, 550.54'; echo 'NVIDIA A10, 550.54'")
    assert nvidia.nvidia_smi() == "NVIDIA A10, 550.54"
    monkeypatch.setenv("PATH", "")
    assert nvidia.nvidia_smi() == ""


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'version mismatch'; exit 18", "nvidia-smi fails: version mismatch"),
        ("exec sleep 60", r"nvidia-smi gives no answer in 0\.2 s"),
    ],
)
def test_a_tool_that_fails_or_hangs_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    assert nvidia._SMI_SECONDS == 10  # a driver may have to wake up
    monkeypatch.setattr(nvidia, "_SMI_SECONDS", 0.2)
    tool(tmp_path, monkeypatch, script)
    with pytest.raises(BackendError, match=said):
        nvidia.nvidia_smi()


@pytest.mark.skipif(sys.platform != "linux", reason="names of Linux")
def test_tensorrt_of_pip_packages_goes_before_that_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr("ctypes.CDLL", loaded.append)
    nvidia.load_tensorrt_10()
    names = ["libnvinfer.so.10", "libnvinfer_plugin.so.10", "libnvonnxparser.so.10"]
    assert loaded == names
    folder = tmp_path / "tensorrt_libs"
    folder.mkdir()
    for name in ("__init__.py", *names):
        (folder / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    nvidia.load_tensorrt_10()
    assert loaded[3:] == [str(folder / name) for name in names]


@pytest.mark.parametrize(("cuda", "package"), [("12.8", "cu12"), ("13.0", "cu13"), ("", "cu13")])
def test_tensorrt_10_is_that_of_the_cuda_of_onnx_runtime(cuda: str, package: str) -> None:
    assert nvidia.tensorrt_10_command(cuda) == f'pip install "tensorrt-{package}<11"'


@pytest.mark.parametrize(
    ("version", "numbers"), [("10.3.0", (10, 3, 0)), ("11.4.0.106", (11, 4, 0, 106)), ("10.3.0.post1", (10, 3, 0))]
)
def test_versions_are_numbers(version: str, numbers: tuple[int, ...]) -> None:
    assert nvidia.version_numbers(version) == numbers


def test_the_journal_keeps_errors_alone_and_tells_the_first_in_one_line() -> None:
    with machine_with_gpu() as machine:
        severity = machine.tensorrt.ILogger.Severity
        journal = nvidia.journal(machine.tensorrt)
        assert nvidia.journal(machine.tensorrt) is journal
        assert "no reason" in journal.reason()
        for level, message in ((severity.WARNING, "well"), (severity.ERROR, "first\n  of two"), (severity.ERROR, "x")):
            journal.logger.log(level, message)
        assert journal.reason() == "first of two"
        journal.clear()
        for number in range(1000):
            journal.logger.log(severity.INTERNAL_ERROR, str(number))
        assert len(journal.messages) == 100
