from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest
from click.testing import CliRunner

from afformer.cli import main
from afformer.doctor import Diagnosis, Finding, State, diagnose, nvidia
from afformer.errors import BackendError
from afformer.measure.machine import Machine
from tests.nvidia.pretend import machine_with_gpu, machine_without
from tests.nvidia.pretend_cuda import PretendCuda


def by_name(diagnosis: Diagnosis) -> dict[str, Finding]:
    return {finding.name: finding for finding in diagnosis.findings}


def without_tools(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PATH", str(folder))


def test_what_this_machine_has_is_ready_with_its_version() -> None:
    found = by_name(diagnose())
    assert found["onnxruntime"].state is State.READY
    assert "CPU" in found["onnxruntime"].detail
    assert found["videos"].state is State.READY


def test_a_machine_without_nvidia_needs_nothing_installed_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_tools(monkeypatch, tmp_path)
    with machine_without():
        found = by_name(diagnose())
    for name in ("NVIDIA GPU", "tensorrt", "onnxruntime on cuda", "onnxruntime-tensorrt"):
        assert (found[name].state, found[name].remedy) == (State.MISSING, "")
    assert found["engine"].remedy.startswith("pip install tensorrt-rtx-cu13-libs")


def test_a_machine_with_a_gpu_and_tensorrt_is_ready_for_engines() -> None:
    with machine_with_gpu():
        found = by_name(diagnose())
    assert found["NVIDIA GPU"].detail == "Orin (compute capability 8.7), driver for CUDA 12.6"
    assert (found["tensorrt"].state, found["tensorrt"].detail) == (State.READY, "TensorRT 10.3.0")
    assert found["engine"].state is State.READY


def test_a_gpu_without_tensorrt_gets_the_line_for_its_driver() -> None:
    with machine_with_gpu(), machine_without("tensorrt"):
        found = by_name(diagnose())
    assert found["tensorrt"].remedy == 'pip install tensorrt-cu12 onnx "cuda-bindings<13"'
    assert found["engine"].remedy == found["tensorrt"].remedy


def test_a_gpu_that_cuda_bindings_cannot_reach_is_seen_by_nvidia_smi(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA A10, 550.54'\n")
    tool.chmod(0o755)
    without_tools(monkeypatch, tmp_path)
    with machine_without():
        found = by_name(diagnose())["NVIDIA GPU"]
    assert found.detail.startswith("NVIDIA A10, 550.54, but the Python module 'cuda")
    assert "cuda-bindings" in found.remedy


@pytest.fixture
def only_smi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A GPU that NVIDIA's tool sees, ONNX Runtime with its providers, and nothing else of NVIDIA."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA A10, 550.54'\n")
    tool.chmod(0o755)
    without_tools(monkeypatch, tmp_path)
    everything = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: everything)
    with machine_without():
        yield


@pytest.mark.usefixtures("only_smi")
def test_onnx_runtime_needs_a_gpu_and_no_package_of_cuda_for_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "afformer.runtime.backends.registry.open_backend",
        lambda *_, **__: contextlib.nullcontext(types.SimpleNamespace(description="ONNX Runtime, cuda")),
    )
    monkeypatch.setattr(nvidia, "load_tensorrt_10", lambda: None)
    found = by_name(diagnose())
    for name, detail in (("onnxruntime on cuda", "ONNX Runtime, cuda"), ("onnxruntime-tensorrt", "TensorRT 10 found")):
        assert (found[name].state, found[name].detail) == (State.READY, detail)
    assert found["tensorrt"].state is State.MISSING
    assert found["tensorrt"].detail.startswith("the Python module 'cuda")
    assert "cuda-bindings" in found["tensorrt"].remedy
    assert "without a GPU" not in found["engine"].detail
    assert found["engine"].remedy.startswith("pip install tensorrt onnx")


@pytest.mark.usefixtures("only_smi")
def test_libraries_that_onnx_runtime_lacks_come_with_the_line_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise BackendError("ONNX Runtime could not start cuda")

    def absent() -> None:
        raise OSError("libnvinfer.so.10: cannot open shared object file")

    monkeypatch.setattr("afformer.runtime.backends.registry.open_backend", broken)
    monkeypatch.setattr(nvidia, "load_tensorrt_10", absent)
    found = by_name(diagnose())
    cuda, tensorrt = found["onnxruntime on cuda"], found["onnxruntime-tensorrt"]
    assert (cuda.state, cuda.remedy) == (State.BROKEN, 'pip install "onnxruntime-gpu[cuda,cudnn]"')
    assert (tensorrt.state, tensorrt.remedy) == (State.MISSING, 'pip install "tensorrt-cu13<11"')
    assert "libnvinfer.so.10" in tensorrt.detail
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    absent_provider = by_name(diagnose())["onnxruntime on cuda"]
    assert absent_provider.state is State.MISSING
    assert absent_provider.remedy == 'pip uninstall -y onnxruntime && pip install "onnxruntime-gpu[cuda,cudnn]"'


def test_a_driver_that_is_too_old_for_engines_gets_no_line_that_cannot_work() -> None:
    with machine_with_gpu(cuda=PretendCuda(driver=(11, 8))), machine_without("tensorrt"):
        found = by_name(diagnose())
    for name in ("NVIDIA GPU", "tensorrt", "tensorrt, rtx engines", "engine"):
        assert (found[name].state, found[name].remedy) == (State.BROKEN, "")
        assert found[name].detail.startswith(
            "the NVIDIA driver supports CUDA 11.8, but engines need a driver for CUDA 12 or l"
        )


def test_a_driver_that_fails_is_told_in_its_own_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'Failed to initialize NVML: Driver/library version mismatch'\nexit 18\n")
    tool.chmod(0o755)
    without_tools(monkeypatch, tmp_path)
    with machine_with_gpu(cuda=PretendCuda(driver=None)):
        found = by_name(diagnose())["NVIDIA GPU"]
    assert (found.state, found.remedy) == (State.BROKEN, "")
    assert "version mismatch" in found.detail


@pytest.mark.parametrize(
    ("flags", "state", "detail"),
    [
        (("avx2", "avx512_vnni"), State.READY, "AVX512-VNNI"),
        (("asimd", "asimddp"), State.READY, "8-bit dot products"),
        (("avx2",), State.MISSING, "gains little"),
        ((), State.MISSING, "does not tell"),
    ],
)
def test_the_processor_tells_whether_int8_pays(
    monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], state: State, detail: str
) -> None:
    here = Machine("", "a CPU", 2, flags, "Linux", "3.12", {})
    monkeypatch.setattr(Machine, "here", lambda: here)
    found = by_name(diagnose())["fast INT8"]
    assert found.state is state
    assert detail in found.detail


def test_things_that_are_missing_or_broken_are_findings_and_never_errors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_tools(monkeypatch, tmp_path)
    broken = tmp_path / "openvino.py"
    broken.write_text("raise OSError('libopenvino.so: cannot\\nopen shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    with machine_without("cv2", "onnx", "torch", "openvino"):
        import sys

        del sys.modules["openvino"]
        found = by_name(diagnose())
    assert (found["openvino"].state, found["openvino"].detail) == (
        State.BROKEN,
        "libopenvino.so: cannot open shared object file",
    )
    assert found["pytorch"].remedy == 'pip install "afformer[export]"'
    assert found["quantize"].state is State.MISSING
    assert found["videos"].detail == "the Python module 'cv2' is not installed"
    assert (found["cmake"].state, found["cmake"].remedy) == (State.MISSING, "sudo apt-get install cmake")
    assert all("\n" not in finding.detail for finding in found.values())


def test_a_compiler_that_hangs_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: Any, **__: Any) -> Any:
        raise subprocess.TimeoutExpired("c++", 1.5)

    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(subprocess, "run", hang)
    assert by_name(diagnose())["compiler"].state is State.BROKEN


def test_the_table_shows_every_finding_once_with_the_line_below_it() -> None:
    findings = (
        Finding("Runs models", "one", State.READY, "1.0"),
        Finding("Runs models", "another", State.MISSING, "not installed", "pip install another"),
        Finding("C++", "three", State.BROKEN, "bad"),
    )
    lines = Diagnosis(Machine.here(), findings).to_text().splitlines()
    assert lines[3:] == [
        "Runs models",
        "  ok  one      1.0",
        "  --  another  not installed",
        "               $ pip install another",
        "",
        "C++",
        "  !!  three    bad",
    ]


def test_the_command_prints_the_table_or_json_and_ends_well() -> None:
    told, plain = (CliRunner().invoke(main, arguments) for arguments in (["doctor"], ["doctor", "--json"]))
    assert (told.exit_code, plain.exit_code) == (0, 0)
    assert "Runs models" in told.stdout
    report = json.loads(plain.stdout)
    assert {"group", "name", "state", "detail", "remedy"} == set(report["findings"][0])
    assert report["machine"]["cores"] >= 1
