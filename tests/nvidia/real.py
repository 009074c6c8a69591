"""The GPU of this machine, for tests that are marked `gpu`."""

from __future__ import annotations

import pytest

from afformer.errors import BackendError
from afformer.tensorrt.gpu import nvidia_smi
from afformer.tensorrt.packages import Library, installed


def require_driver() -> None:
    """Skips the test unless a GPU is here; ONNX Runtime needs none of NVIDIA's Python packages."""
    try:
        seen = nvidia_smi()
    except BackendError as error:
        pytest.skip(str(error))
    if not seen:
        pytest.skip("there is no nvidia-smi, and so no NVIDIA GPU")


def require_gpu() -> None:
    """Skips the test unless TensorRT and a GPU are here."""
    if not installed(Library.TENSORRT):
        pytest.skip("TensorRT is not installed")
    pytest.importorskip("cuda.bindings.runtime", reason="cuda-bindings is not installed")
    from afformer.tensorrt import cuda

    try:
        cuda.gpu()
    except BackendError as error:
        pytest.skip(str(error))
