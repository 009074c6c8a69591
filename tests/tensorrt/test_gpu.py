from __future__ import annotations

from pathlib import Path

import pytest

from afformer.errors import BackendError
from afformer.tensorrt import gpu


def test_a_gpu_names_itself_and_its_capability() -> None:
    assert str(gpu.Gpu("Orin", (8, 7))) == "Orin (compute capability 8.7)"


def test_a_jetson_is_known_by_a_file_of_its_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_JETSON", tmp_path / "nv_tegra_release")
    assert not gpu.is_jetson()
    (tmp_path / "nv_tegra_release").touch()
    assert gpu.is_jetson()


@pytest.mark.parametrize(("version", "text"), [((11,), "11"), ((11, 8), r"11\.8")])
def test_a_driver_for_cuda_11_is_refused(version: tuple[int, ...], text: str) -> None:
    gpu.check_driver(12, 0)
    with pytest.raises(BackendError, match=f"supports CUDA {text}, but engines need a driver for CUDA 12 or later"):
        gpu.check_driver(*version)


def tool(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program that answers for NVIDIA's."""
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_the_first_gpu_is_that_of_nvidias_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(tmp_path, monkeypatch, "echo 'NVIDIA A10, 550.54'; echo 'NVIDIA A10, 550.54'")
    assert gpu.nvidia_smi() == "NVIDIA A10, 550.54"
    monkeypatch.setenv("PATH", "")
    assert gpu.nvidia_smi() == ""


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
    assert gpu._SMI_SECONDS == 10  # a driver may have to wake up
    monkeypatch.setattr(gpu, "_SMI_SECONDS", 0.2)
    tool(tmp_path, monkeypatch, script)
    with pytest.raises(BackendError, match=said):
        gpu.nvidia_smi()
