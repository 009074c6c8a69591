"""TensorRT 10, which ONNX Runtime's TensorRT provider loads: found in pip's packages or the system."""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path

_LIBRARIES = ("libnvinfer.so.10", "libnvinfer_plugin.so.10", "libnvonnxparser.so.10")


def load_tensorrt_10() -> None:
    """Loads the libraries into the process: those of pip's packages, else the system's.

    The provider does not look into pip's packages, but uses what the process has loaded already.

    Raises:
        OSError: They are not there.
    """
    found = importlib.util.find_spec("tensorrt_libs")
    folders = [Path(folder) for folder in (found.submodule_search_locations if found else None) or ()]
    for name in _LIBRARIES:
        ctypes.CDLL(next((str(folder / name) for folder in folders if (folder / name).is_file()), name))


def tensorrt_10_command(cuda: str) -> str:
    """The command that installs what `load_tensorrt_10` loads.

    Args:
        cuda: CUDA version that ONNX Runtime was built for, as it reports it; may be empty.
    """
    major = cuda.split(".", 1)[0]
    return f'pip install "tensorrt-cu{major if major.isdecimal() else 13}<11"'
