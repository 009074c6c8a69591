"""ONNX Runtime's execution providers: which ones serve a device, and their options."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from afformer.files import sha256
from afformer.runtime.backends.tensorrt_libraries import tensorrt_10_command
from afformer.runtime.choices import Device
from afformer.spec import Precision

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"

GRAPH = {"enable_cuda_graph": "1"}
"""The option that makes the CUDA provider record a graph; see `cuda_graph.py`."""
GPU_COMMAND = 'pip install "onnxruntime-gpu[cuda,cudnn]"'
"""Installs ONNX Runtime for NVIDIA GPUs with the CUDA and cuDNN that it needs."""
INSTEAD_COMMAND = f"pip uninstall -y onnxruntime && {GPU_COMMAND}"
"""The same, replacing the package for CPUs; with both installed, either may be the one that is imported."""


@dataclasses.dataclass(frozen=True)
class Providers:
    """The providers of a session.

    Attributes:
        title: For people, such as `cuda`.
        chosen: Names and options, the one that must start first. For a GPU the CPU's is left out, so that an operator
            without a kernel is an error.
        absent: The remedy if this ONNX Runtime lacks the first.
        remedy: The remedy if the first does not start.
        cache: Folder that it keeps engines in; made before the session.
        graph: Whether its options ask for a CUDA graph.
    """

    title: str
    chosen: tuple[tuple[str, dict[str, str]], ...]
    absent: str
    remedy: str
    cache: Path | None = None
    graph: bool = False

    @property
    def first(self) -> str:
        """Name of the provider that was asked for."""
        return self.chosen[0][0]


def providers_of(device: Device, *, graph: bool = True) -> Providers:
    """The provider of a device; on a GPU with a CUDA graph, or without one."""
    if device is Device.CPU:
        again = "run `pip install --force-reinstall onnxruntime`"
        return Providers("cpu", ((CPU, {}),), again, again)
    return Providers(
        "cuda",
        (_cuda(GRAPH if graph else {}),),
        absent=f"run `{INSTEAD_COMMAND}`, or choose the device cpu",
        remedy=f"run `{GPU_COMMAND}` for the CUDA and cuDNN that it wants, or choose the device cpu",
        graph=graph,
    )


def tensorrt_providers(path: Path, precision: Precision, version: str, cuda: str) -> Providers:
    """TensorRT where possible, CUDA for the rest; built engines are kept in `cache_folder`.

    Args:
        path: The model.
        precision: The model's.
        version: ONNX Runtime's. Versions do not share engines.
        cuda: CUDA version that ONNX Runtime was built for; may be empty.
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
    otherwise = "or build an engine with `afformer-cli engine`, or use the backend onnxruntime"
    return Providers(
        "cuda through TensorRT",
        ((TENSORRT, options), _cuda()),
        absent=f"run `{INSTEAD_COMMAND} && {libraries}` (x86-64 only), {otherwise}",
        remedy=f"run `{GPU_COMMAND} && {libraries}` for what it wants, {otherwise}. If it ran before: its cache is "
        f"{folder} and may be deleted",
        cache=folder,
    )


def cache_folder(path: Path, version: str) -> Path:
    """Where engines are kept: in the user's cache, one folder for each model file and version of ONNX Runtime."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "afformer" / f"onnxruntime-{version}" / sha256(path)[:16]


def _cuda(more: Mapping[str, str] = {}) -> tuple[str, dict[str, str]]:
    # TF32 has 10 bits of mantissa; the model is float32.
    return CUDA, {"use_tf32": "0", **more}
