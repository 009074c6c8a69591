"""ONNX Runtime's execution providers: which ones a device means, and how they are set up."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

from afformer.files import sha256
from afformer.runtime.backends.base import Device
from afformer.spec import Precision
from afformer.tensorrt.packages import tensorrt_10_command

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"

GPU_COMMAND = 'pip install "onnxruntime-gpu[cuda,cudnn]"'
"""Installs ONNX Runtime for NVIDIA GPUs with the CUDA and cuDNN that it wants."""
INSTEAD_COMMAND = f"pip uninstall -y onnxruntime && {GPU_COMMAND}"
"""The same in place of the package for CPUs; with both installed, either may be the one that is imported."""


@dataclasses.dataclass(frozen=True)
class Providers:
    """What a session is given.

    Attributes:
        title: For people, such as `cuda`.
        chosen: Names and options, the one that must start first. The CPU's is not among those of a GPU: what has no
            kernel there is an error.
        absent: What to do where this ONNX Runtime does not have the first.
        remedy: What to do where it does not start.
        cache: Folder that it keeps engines in; made before the session.
    """

    title: str
    chosen: tuple[tuple[str, dict[str, str]], ...]
    absent: str
    remedy: str
    cache: Path | None = None

    @property
    def first(self) -> str:
        """Name of the provider that was asked for."""
        return self.chosen[0][0]


def providers_of(device: Device) -> Providers:
    """The provider of a device."""
    if device is Device.CPU:
        again = "run `pip install --force-reinstall onnxruntime`"
        return Providers("cpu", ((CPU, {}),), again, again)
    return Providers(
        "cuda",
        (_cuda(),),
        absent=f"run `{INSTEAD_COMMAND}`, or choose the device cpu",
        remedy=f"run `{GPU_COMMAND}` for the CUDA and cuDNN that it wants, or choose the device cpu",
    )


def tensorrt_providers(path: Path, precision: Precision, version: str, cuda: str) -> Providers:
    """TensorRT for all it takes, CUDA for the rest; built engines are kept in `cache_folder`.

    Args:
        path: The model.
        precision: The model's; the provider wants to be told.
        version: ONNX Runtime's; its engines are its own.
        cuda: CUDA version that it was built for; may be empty.
    """
    folder = cache_folder(path, version)
    options = {
        "trt_fp16_enable": str(int(precision is Precision.FP16)),
        "trt_int8_enable": str(int(precision is Precision.INT8)),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
    }
    libraries = tensorrt_10_command(cuda)
    otherwise = "or build an engine with `afformer-cli engine`, or take --backend onnxruntime"
    return Providers(
        "cuda through TensorRT",
        ((TENSORRT, options), _cuda()),
        absent=f"run `{INSTEAD_COMMAND} && {libraries}` (x86-64 only), {otherwise}",
        remedy=f"run `{GPU_COMMAND} && {libraries}` for what it wants, {otherwise}. If it ran before: its cache is "
        f"{folder} and may be deleted",
        cache=folder,
    )


def cache_folder(path: Path, version: str) -> Path:
    """Where engines are kept: in the user's cache, apart for every file and version of ONNX Runtime."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "afformer" / f"onnxruntime-{version}" / sha256(path)[:16]


def _cuda() -> tuple[str, dict[str, str]]:
    # TF32 has 10 bits of mantissa; the model says float32
    return CUDA, {"use_tf32": "0"}
