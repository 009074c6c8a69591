"""NVIDIA's driver and TensorRT packages: found and loaded when they are needed, or the line that installs them."""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

from afformer.errors import BackendError
from afformer.tensorrt.plan_file import Library

OLDEST = (10, 3)
"""JetPack 6 has it."""
OLDEST_CUDA = 12
"""What a driver must know for engines: `runtime.cuda` calls CUDA as it is since then."""
_MODULES = {
    Library.TENSORRT: ("tensorrt",),
    # the bindings and the libraries without the package that holds them together
    Library.TENSORRT_RTX: ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
_JETSON = Path("/etc/nv_tegra_release")
_KEPT = 100
"""Messages that are kept at most."""
_SMI_SECONDS = 10.0
"""A driver that sleeps takes seconds to wake up."""
_TENSORRT_10 = ("libnvinfer.so.10", "libnvinfer_plugin.so.10", "libnvonnxparser.so.10")


def is_jetson() -> bool:
    """Whether this is one of NVIDIA's boards, whose TensorRT comes with the system."""
    return _JETSON.exists()


def install_command(library: Library, cuda: int | None = None) -> str:
    """The line that installs what builds and runs plans here.

    Args:
        library: Which one.
        cuda: Major version of CUDA that the driver knows; None if that is unknown.

    Raises:
        BackendError: No line does: the driver is too old.
    """
    if cuda and cuda < OLDEST_CUDA:
        raise BackendError(
            f"the NVIDIA driver knows CUDA {cuda}, but engines need one for CUDA {OLDEST_CUDA} or later; install a "
            "later driver"
        )
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
    """Whether the package is there; it is not loaded."""
    return _module(library) is not None


def load(library: Library) -> ModuleType:
    """Imports the package.

    Raises:
        BackendError: It is not installed, cannot be loaded, or is too old.
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


def nvidia_smi() -> str:
    """Name and driver of the first GPU as NVIDIA's tool has them; empty if the tool is not there.

    Raises:
        BackendError: The tool fails, or gives no answer.
    """
    path = shutil.which("nvidia-smi")
    if path is None:
        return ""
    query = [path, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, timeout=_SMI_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"nvidia-smi gives no answer in {_SMI_SECONDS:g} s; is the driver all right?") from error
    except OSError as error:
        raise BackendError(f"nvidia-smi cannot be started ({error.strerror})") from error
    first = (said.stdout.strip() or said.stderr.strip() or "it says nothing").splitlines()[0]
    if said.returncode:
        raise BackendError(f"nvidia-smi fails: {first}")
    return first


def load_tensorrt_10() -> None:
    """Loads the libraries that ONNX Runtime's TensorRT provider wants: those of pip's packages, or the system's.

    The provider would not look into pip's packages, but takes what is in the process already.

    Raises:
        OSError: They are not there.
    """
    found = importlib.util.find_spec("tensorrt_libs")
    folders = [Path(folder) for folder in (found.submodule_search_locations if found else None) or ()]
    for name in _TENSORRT_10:
        ctypes.CDLL(next((str(folder / name) for folder in folders if (folder / name).is_file()), name))


def tensorrt_10_command(cuda: str) -> str:
    """The line that installs what `load_tensorrt_10` loads.

    Args:
        cuda: CUDA version that ONNX Runtime was built for, as it tells it; may be empty.
    """
    major = cuda.split(".", 1)[0]
    return f'pip install "tensorrt-cu{major if major.isdecimal() else 13}<11"'


def _module(library: Library) -> str | None:
    return next((name for name in _MODULES[library] if importlib.util.find_spec(name)), None)


def version_numbers(version: str) -> tuple[int, ...]:
    """`10.3.0.26` or `10.3.0.post1` as numbers, up to the first part that is none."""
    numbers = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)


class Journal:
    """What TensorRT complained of.

    TensorRT takes one logger a process, the first it is given, and writes to stderr unless that is somebody's own.
    """

    def __init__(self, trt: ModuleType) -> None:
        self.messages: list[str] = []
        self.logger = _logger(trt, self)
        """What TensorRT wants to be given."""

    def clear(self) -> None:
        """Forgets earlier complaints."""
        self.messages.clear()

    def reason(self) -> str:
        """The first complaint since the last `clear`, in one line."""
        return " ".join(self.messages[0].split()) if self.messages else "TensorRT gives no reason"

    def note(self, message: str) -> None:
        """Keeps a complaint."""
        if len(self.messages) < _KEPT:
            self.messages.append(message)


@functools.cache
def journal(trt: ModuleType) -> Journal:
    """The one journal of a library."""
    return Journal(trt)


def _logger(trt: ModuleType, kept: Journal) -> Any:
    base: Any = trt.ILogger

    class Logger(base):  # type: ignore[misc] # mypy cannot know what it is
        def __init__(self) -> None:
            base.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                kept.note(message)

    return Logger()
