"""Whether an engine runs on the TensorRT and the GPU that are here. The C++ runtime gives the same answers."""

from __future__ import annotations

from pathlib import Path

from afformer.errors import BackendError
from afformer.tensorrt.engine_info import EngineInfo
from afformer.tensorrt.gpu import Gpu
from afformer.tensorrt.packages import version_numbers

_AMPERE = (8, 0)


def check_compatible(info: EngineInfo, path: Path, version: str, gpu: Gpu) -> None:
    """Checks that an engine can run here.

    Args:
        info: What is known about the engine.
        path: Names the engine in errors.
        version: Of the installed library.
        gpu: The GPU of this machine.

    Raises:
        BackendError: The engine was built by another version or for another GPU.
    """
    rebuild = f"build it again on this machine (`{info.rebuild_command(path.name)}`)"
    _check_version(info, path, version, rebuild)
    _check_gpu(info, path, gpu, rebuild)


def _check_version(info: EngineInfo, path: Path, version: str, rebuild: str) -> None:
    title, built_by, here = info.library.title, version_numbers(info.version), version_numbers(version)
    common = min(len(built_by), len(here))
    newer = here[:common] > built_by[:common]
    if here[:common] == built_by[:common] or (newer and info.version_compatible):
        return
    hint = f"; {title} {info.version} or later runs it" if info.version_compatible else ""
    option = "" if info.version_compatible or not newer else ", or once with --version-compatible"
    raise BackendError(
        f"{path}: was built by {title} {info.version}, but {version} is installed{hint}; {rebuild}{option}"
    )


def _check_gpu(info: EngineInfo, path: Path, gpu: Gpu, rebuild: str) -> None:
    if info.gpu is None:
        return
    if info.hardware_compatible:
        if gpu.compute_capability < _AMPERE:
            raise BackendError(f"{path}: runs on GPUs of compute capability 8.0 or later, but here is {gpu}; {rebuild}")
    elif info.gpu != gpu:
        raise BackendError(
            f"{path}: was built for {info.gpu}, but here is {gpu}; {rebuild}, or once with --hardware-compatible"
        )
