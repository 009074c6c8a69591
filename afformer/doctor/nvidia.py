"""Checks of the NVIDIA GPU, its driver, and everything that needs them."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from afformer import assets
from afformer.doctor.checks import packages
from afformer.doctor.findings import BrokenError, MissingError
from afformer.errors import BackendError
from afformer.runtime.backends.tensorrt_libraries import load_tensorrt_10, tensorrt_10_command
from afformer.telemetry import without_telemetry
from afformer.tensorrt.gpu import Gpu, check_driver, is_jetson, nvidia_smi
from afformer.tensorrt.packages import Library, install_command, installed, load


class Nvidia:
    """The GPU and the driver as they are when this is created; a check that fails tells why."""

    def __init__(self) -> None:
        self._gpu: Gpu | None = None
        self._cuda: tuple[int, int] | None = None
        self._cuda_problem = ""
        """Why CUDA cannot be called from Python."""
        self._smi_problem: BackendError | None = None
        self._call_cuda()
        self._seen = str(self._gpu or self._seen_without_cuda())
        """The GPU, even where CUDA cannot be called from Python; empty if there is none."""

    def _call_cuda(self) -> None:
        try:
            from afformer.tensorrt import cuda

            self._cuda = cuda.driver_version()
            self._gpu = cuda.gpu()
        except ModuleNotFoundError as error:
            self._cuda_problem = f"the Python module '{error.name}' is not installed"
        except Exception as error:  # reported by `driver`
            self._cuda_problem = " ".join(str(error).split())

    def _seen_without_cuda(self) -> str:
        try:
            return "an NVIDIA Jetson" if is_jetson() else nvidia_smi()
        except BackendError as error:  # reported by `driver`
            self._smi_problem = error
            return ""

    def driver(self) -> str:
        """The GPU and its driver."""
        if self._smi_problem:
            raise self._smi_problem
        self._require_new_driver()
        if self._gpu and self._cuda:
            return f"{self._gpu}, driver for CUDA {self._cuda[0]}.{self._cuda[1]}"
        if not self._seen:
            raise MissingError("none, or no driver for it")
        raise MissingError(f"{self._seen}, but {self._cuda_problem}", self._install_command(Library.TENSORRT))

    def onnxruntime_cuda(self) -> str:
        """ONNX Runtime's CUDA provider, tried on the bundled model."""
        from afformer.runtime.backends.registry import open_backend

        self._require_gpu()
        _require_provider("CUDAExecutionProvider")
        try:
            with open_backend(assets.MODEL, "onnxruntime", device="cuda") as backend:
                return backend.description
        except BackendError as error:
            from afformer.runtime.backends.providers import GPU_COMMAND

            raise BrokenError(str(error), GPU_COMMAND) from error

    def onnxruntime_tensorrt(self) -> str:
        """ONNX Runtime's TensorRT provider. No model is opened, because that takes minutes."""
        self._require_gpu()
        ort = _require_provider("TensorrtExecutionProvider")
        if sys.platform == "linux":
            try:
                load_tensorrt_10()
            except OSError as error:
                raise MissingError(str(error), tensorrt_10_command(str(getattr(ort, "cuda_version", "")))) from error
        return "TensorRT 10 found"

    def runs_engines(self, library: Library) -> str:
        """What runs the engines of a library."""
        self._require_gpu()
        self._require_new_driver()
        self._require_cuda(library)
        self._require_installed(library)
        return f"{library.title} {load(library).__version__}"

    def builds_engines(self) -> str:
        """What builds engines: TensorRT where there is a GPU, else TensorRT-RTX."""
        library = Library.TENSORRT if self._seen else Library.TENSORRT_RTX
        if self._seen:
            self._require_new_driver()
        try:
            packages("onnx")
        except ModuleNotFoundError as error:
            raise MissingError("the Python module 'onnx' is not installed", self._install_command(library)) from error
        self._require_installed(library, "" if self._seen else "; without a GPU only TensorRT-RTX builds engines")
        if self._seen:
            self._require_cuda(library)
        return f"{library.title} {load(library).__version__}"

    def _install_command(self, library: Library) -> str:
        """The command that installs a library for this driver."""
        return install_command(library, self._cuda[0] if self._cuda else None)

    def _require_gpu(self) -> None:
        if not self._seen:
            raise MissingError("needs an NVIDIA GPU")

    def _require_new_driver(self) -> None:
        if self._cuda:
            check_driver(*self._cuda)

    def _require_cuda(self, library: Library) -> None:
        if not self._gpu:
            raise MissingError(f"{self._cuda_problem}; there is {self._seen}", self._install_command(library))

    def _require_installed(self, library: Library, hint: str = "") -> None:
        if not installed(library):
            raise MissingError(f"{library.title} is not installed{hint}", self._install_command(library))


def _require_provider(name: str) -> Any:
    """ONNX Runtime, if it has an execution provider."""
    with without_telemetry():
        ort = importlib.import_module("onnxruntime")
    if name not in ort.get_available_providers():
        from afformer.runtime.backends.providers import INSTEAD_COMMAND

        raise MissingError(
            f"this ONNX Runtime has no {name.removesuffix('ExecutionProvider')} provider", INSTEAD_COMMAND
        )
    return ort
