"""ONNX Runtime's execution providers: which ones a device means, and how they are set up."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

from afformer.digest import sha256
from afformer.output import make_folder
from afformer.runtime.backend import Device
from afformer.spec import Precision

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"

_GPU_PACKAGE = "install the pip package onnxruntime-gpu in place of onnxruntime, with the CUDA and cuDNN it asks for"


@dataclasses.dataclass(frozen=True)
class Providers:
    """What a session is given.

    Attributes:
        title: For people, such as `cuda`.
        chosen: Names and options, the one that must start first. The CPU's is not among those of a GPU: what has no
            kernel there is an error.
        remedy: What to do where the first is not there or does not start.
    """

    title: str
    chosen: tuple[tuple[str, dict[str, str]], ...]
    remedy: str

    @property
    def first(self) -> str:
        """Name of the provider that was asked for."""
        return self.chosen[0][0]


def providers_of(device: Device) -> Providers:
    """The provider of a device."""
    if device is Device.CPU:
        return Providers("cpu", ((CPU, {}),), "reinstall the pip package onnxruntime")
    return Providers("cuda", (_cuda(),), f"{_GPU_PACKAGE}, or choose the device cpu")


def tensorrt_providers(path: Path, precision: Precision, version: str) -> Providers:
    """TensorRT for all it takes, CUDA for the rest; built engines are kept in `cache_folder`.

    Args:
        path: The model.
        precision: The model's; the provider wants to be told.
        version: ONNX Runtime's; its engines are its own.

    Raises:
        OutputError: The cache cannot be made.
    """
    folder = cache_folder(path, version)
    make_folder(folder)
    options = {
        "trt_fp16_enable": str(int(precision is Precision.FP16)),
        "trt_int8_enable": str(int(precision is Precision.INT8)),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
    }
    remedy = (
        f"{_GPU_PACKAGE}, and the TensorRT 10 it asks for (x86-64 only); or build an engine with `afformer-cli "
        f"engine`, or take --backend onnxruntime. If it ran before: its cache is {folder} and may be deleted"
    )
    return Providers("cuda through TensorRT", ((TENSORRT, options), _cuda()), remedy)


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
