"""NVIDIA's TensorRT packages: imports them when they are needed, or says how to install them."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from afformer.choice import Choice
from afformer.errors import BackendError
from afformer.tensorrt.gpu import check_driver, is_jetson

OLDEST = (10, 3)
"""The version in JetPack 6."""


class Library(Choice):
    """Which of NVIDIA's two TensorRTs builds and runs an engine; neither reads the other's."""

    TENSORRT = "tensorrt"
    """TensorRT 10 and 11: servers, PCs, Jetson. An engine is built on the GPU that runs it."""
    TENSORRT_RTX = "tensorrt_rtx"
    """TensorRT for RTX: PCs with an RTX GPU. An engine is built anywhere and finished where it runs."""

    @property
    def title(self) -> str:
        """NVIDIA's name for it."""
        return {Library.TENSORRT: "TensorRT", Library.TENSORRT_RTX: "TensorRT-RTX"}[self]


_MODULES = {
    Library.TENSORRT: ("tensorrt",),
    # the second is there when bindings and libraries are installed without the package that joins them
    Library.TENSORRT_RTX: ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}


def install_command(library: Library, cuda: int | None = None) -> str:
    """The command that installs what builds and runs engines here.

    Args:
        library: Which TensorRT.
        cuda: Major version of the newest CUDA that the driver supports; None if unknown.

    Raises:
        BackendError: The driver is too old for any version.
    """
    if cuda:
        check_driver(cuda)
    bindings = f'"cuda-bindings<{cuda + 1}"' if cuda else "cuda-bindings"
    if library is Library.TENSORRT_RTX:
        name = f"tensorrt-rtx-cu{12 if cuda == 12 else 13}"
        return f"pip install {name}-libs {name}-bindings onnx {bindings}"
    if is_jetson():
        return (
            "sudo apt-get install python3-libnvinfer && python3 -m venv --system-site-packages --upgrade .venv && "
            '.venv/bin/pip install onnx "cuda-bindings<13"'
        )
    if cuda == 12:
        return f"pip install tensorrt-cu12 onnx {bindings}"
    return f"pip install tensorrt onnx {bindings}"


def installed(library: Library) -> bool:
    """Whether the package can be found; it is not imported."""
    return _module(library) is not None


def load(library: Library) -> ModuleType:
    """Imports the package.

    Raises:
        BackendError: It is not installed, cannot be imported, or is too old.
    """
    name = _module(library)
    if name is None:
        raise BackendError(f"{library.title} is not installed; run `{install_command(library)}`")
    try:
        trt = importlib.import_module(name)
    except (ImportError, OSError, RuntimeError) as error:
        raise BackendError(
            f"{library.title} is installed but cannot be loaded ({error}); install it again: "
            f"`{install_command(library)}`"
        ) from error
    if library is Library.TENSORRT and version_numbers(trt.__version__)[:2] < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise BackendError(
            f"TensorRT {trt.__version__} is too old, expected {oldest} or later; run `{install_command(library)}`"
        )
    return trt


def version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: `10.3.0.26` gives four, `10.3.0.post1` three."""
    numbers = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _module(library: Library) -> str | None:
    return next((name for name in _MODULES[library] if importlib.util.find_spec(name)), None)
