"""The TensorRT 10 libraries that ONNX Runtime's TensorRT provider needs."""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path

_LIBRARIES = ("libnvinfer.so.10", "libnvinfer_plugin.so.10", "libnvonnxparser.so.10")


def load_tensorrt_10() -> None:
    """Loads the libraries into this process: those of pip's packages, or else the system's.

    The provider does not search pip's packages, but uses libraries that are already loaded.

    Raises:
        OSError: They are not installed.
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
