"""What this machine can run, what is missing, and the lines that install it.

Every check asks for the thing itself: an engine is ready if it can be imported, or opens the bundled model where that
is quick. A check that fails is a finding, never an error.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from afformer import assets
from afformer.errors import AfformerError, BackendError
from afformer.measure.machine import Machine
from afformer.tensorrt.packages import (
    OLDEST_CUDA,
    install_command,
    installed,
    is_jetson,
    load,
    load_tensorrt_10,
    nvidia_smi,
    tensorrt_10_command,
)
from afformer.tensorrt.plan_file import Gpu, Library

_VERSION_SECONDS = 1.5
_EXPORT = ("torch", "onnx", "onnxscript", "onnxsim", "safetensors")
_INT8 = {
    "amx_int8": "AMX",
    "avx512_vnni": "AVX512-VNNI",
    "avx_vnni": "AVX-VNNI",
    "i8mm": "8-bit matrix products",
    "asimddp": "8-bit dot products",
}
_BF16 = ("amx_bf16", "avx512_bf16", "bf16")


class State(enum.Enum):
    """How a thing is."""

    READY = "ready"
    MISSING = "missing"
    BROKEN = "broken"
    """It is there and does not work."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        group: What it belongs to.
        name: What was looked at.
        state: How it is.
        detail: Version, or what is wrong.
        remedy: The line that installs it; empty if there is nothing to do.
    """

    group: str
    name: str
    state: State
    detail: str
    remedy: str = ""


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """All findings.

    Attributes:
        machine: Processor, system, packages.
        findings: In the order in which they are shown.
    """

    machine: Machine
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        findings = [{**dataclasses.asdict(f), "state": f.state.value} for f in self.findings]
        return {"machine": self.machine.to_json(), "findings": findings}

    def to_text(self) -> str:
        """A table for people."""
        marks = {State.READY: "ok", State.MISSING: "--", State.BROKEN: "!!"}
        width = max(len(finding.name) for finding in self.findings)
        lines = [self.machine.to_text()]
        group = ""
        for finding in self.findings:
            if finding.group != group:
                group = finding.group
                lines += ["", group]
            lines.append(f"  {marks[finding.state]}  {finding.name:<{width}}  {finding.detail}".rstrip())
            if finding.remedy:
                lines.append(f"      {'':<{width}}  $ {finding.remedy}")
        return "\n".join(lines)


class _CheckError(Exception):
    """A check went wrong, and the line that helps."""

    state = State.BROKEN

    def __init__(self, detail: str, remedy: str = "") -> None:
        super().__init__(detail)
        self.remedy = remedy


class _MissingError(_CheckError):
    """A check found nothing."""

    state = State.MISSING


def diagnose() -> Diagnosis:
    """Looks at everything; takes a second or two."""
    machine, nvidia = Machine.here(), _Nvidia()
    checks: list[tuple[str, str, str, Callable[[], str]]] = [
        ("Processor", "fast INT8", "", lambda: _int8(machine)),
        ("Processor", "bfloat16", "", lambda: _bf16(machine)),
        ("Runs models", "onnxruntime", "pip install onnxruntime", _onnxruntime),
        ("Runs models", "openvino", 'pip install "afformer[openvino]"', _openvino),
        ("Runs models", "pytorch", 'pip install "afformer[export]"', lambda: _packages(("torch",))),
        ("Runs models", "NVIDIA GPU", "", nvidia.driver),
        ("Runs models", "onnxruntime on cuda", "", nvidia.onnxruntime_cuda),
        ("Runs models", "onnxruntime-tensorrt", "", nvidia.onnxruntime_tensorrt),
        ("Runs models", "tensorrt", "", lambda: nvidia.engines(Library.TENSORRT)),
        ("Runs models", "tensorrt, rtx engines", "", lambda: nvidia.engines(Library.TENSORRT_RTX)),
        ("Makes models", "export", 'pip install "afformer[export]"', lambda: _packages(_EXPORT)),
        ("Makes models", "quantize", 'pip install "afformer[quantize]"', lambda: _packages(("onnx",))),
        ("Makes models", "engine", "", nvidia.builder),
        ("Pictures", "videos", "pip install --force-reinstall opencv-python-headless", _videos),
        ("Pictures", "windows", "pip uninstall opencv-python-headless && pip install opencv-python", _windows),
        ("C++", "compiler", "sudo apt-get install g++", lambda: _tool("c++", "g++", "clang++")),
        ("C++", "cmake", "sudo apt-get install cmake", lambda: _tool("cmake")),
    ]
    findings = [_checked(group, name, remedy, check) for group, name, remedy, check in checks]
    return Diagnosis(machine, tuple(findings))


def _checked(group: str, name: str, remedy: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(group, name, State.READY, check())
    except _CheckError as error:
        return Finding(group, name, error.state, str(error), error.remedy or remedy)
    except ModuleNotFoundError as error:
        return Finding(group, name, State.MISSING, f"the Python module '{error.name}' is not installed", remedy)
    except Exception as error:  # whatever a broken installation raises is what there is to tell
        detail = " ".join(str(error).split()) or type(error).__name__
        return Finding(group, name, State.BROKEN, detail, "" if isinstance(error, AfformerError) else remedy)


def _int8(machine: Machine) -> str:
    found = [title for flag, title in _INT8.items() if flag in machine.flags]
    if found:
        return ", ".join(found)
    if not machine.flags:
        raise _MissingError("this system does not tell what the processor has")
    raise _MissingError("no instructions for 8-bit products: INT8 runs, but gains little over float32")


def _bf16(machine: Machine) -> str:
    found = [flag for flag in _BF16 if flag in machine.flags]
    if not found:
        raise _MissingError("the processor has none; nothing here needs it")
    return f"{', '.join(found)}: OpenVINO's own default precision, which this package does not take unless asked"


def _onnxruntime() -> str:
    ort = importlib.import_module("onnxruntime")
    names = [str(name).removesuffix("ExecutionProvider") for name in ort.get_available_providers()]
    return f"{ort.__version__}, providers: {', '.join(names)}"


def _openvino() -> str:
    return str(importlib.import_module("openvino").__version__).split("-", 1)[0]


def _packages(names: tuple[str, ...]) -> str:
    """Versions of packages that take too long to import."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(name=name)
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def _videos() -> str:
    cv2 = importlib.import_module("cv2")
    if not re.search(r"FFMPEG:\s+YES", cv2.getBuildInformation()):
        raise _MissingError(f"OpenCV {cv2.__version__} was built without FFmpeg: no videos and streams")
    return f"OpenCV {cv2.__version__} with FFmpeg"


def _windows() -> str:
    cv2 = importlib.import_module("cv2")
    found = re.search(r"GUI:\s+(\S+)", cv2.getBuildInformation())
    if found is None or found[1] == "NONE":
        raise _MissingError("this OpenCV has no windows; only --show needs them")
    return f"OpenCV with {found[1]}"


def _tool(*names: str) -> str:
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        raise _MissingError(f"no {' or '.join(names)}")
    said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_VERSION_SECONDS, check=True)
    return said.stdout.splitlines()[0]


class _Nvidia:
    """The driver, the GPU, and what needs them."""

    def __init__(self) -> None:
        self._gpu: Gpu | None = None
        self._cuda: tuple[int, int] | None = None
        self._failure = ""
        self._seen = ""
        """What is there, whether or not CUDA can be called from Python."""
        self._trouble: BackendError | None = None
        self._look()
        if self._gpu:
            self._seen = str(self._gpu)
            return
        try:
            self._seen = "an NVIDIA Jetson" if is_jetson() else nvidia_smi()
        except BackendError as error:  # told by `driver`
            self._trouble = error

    def _look(self) -> None:
        try:
            from afformer.tensorrt import cuda

            self._cuda = cuda.driver_version()
            self._gpu = cuda.gpu()
        except ModuleNotFoundError as error:
            self._failure = f"the Python module '{error.name}' is not installed"
        except Exception as error:  # told by `driver`
            self._failure = " ".join(str(error).split())

    def driver(self) -> str:
        """The GPU and the driver."""
        if self._trouble:
            raise self._trouble
        self._need_driver()
        if self._gpu and self._cuda:
            return f"{self._gpu}, driver for CUDA {self._cuda[0]}.{self._cuda[1]}"
        if not self._seen:
            raise _MissingError("none, or no driver for it")
        raise _MissingError(f"{self._seen}, but {self._failure}", self._command(Library.TENSORRT))

    def onnxruntime_cuda(self) -> str:
        """ONNX Runtime's CUDA provider, on the bundled model."""
        from afformer.runtime.backends.registry import open_backend

        self._need_gpu()
        _need_provider("CUDAExecutionProvider")
        try:
            with open_backend(assets.MODEL, "onnxruntime", device="cuda") as backend:
                return backend.description
        except BackendError as error:
            from afformer.runtime.backends.providers import GPU_COMMAND

            raise _CheckError(str(error), GPU_COMMAND) from error

    def onnxruntime_tensorrt(self) -> str:
        """ONNX Runtime's TensorRT provider; to open a model would take minutes."""
        self._need_gpu()
        ort = _need_provider("TensorrtExecutionProvider")
        if sys.platform == "linux":
            try:
                load_tensorrt_10()
            except OSError as error:
                raise _MissingError(str(error), tensorrt_10_command(str(getattr(ort, "cuda_version", "")))) from error
        return "TensorRT 10 found"

    def engines(self, library: Library) -> str:
        """What runs engines."""
        self._need_gpu()
        self._need_driver()
        if not self._gpu:
            raise _MissingError(f"{self._failure}; there is {self._seen}", self._command(library))
        if not installed(library):
            raise _MissingError(f"{library.title} is not installed", self._command(library))
        return f"{library.title} {load(library).__version__}"

    def builder(self) -> str:
        """What builds engines."""
        library = Library.TENSORRT if self._seen else Library.TENSORRT_RTX
        if library is Library.TENSORRT:
            self._need_driver()
        try:
            _packages(("onnx",))
        except ModuleNotFoundError as error:
            raise _MissingError("the Python module 'onnx' is not installed", self._command(library)) from error
        if not installed(library):
            without = "" if self._seen else "; without a GPU only --rtx builds"
            raise _MissingError(f"{library.title} is not installed{without}", self._command(library))
        if self._seen and not self._gpu:
            raise _MissingError(f"{self._failure}; there is {self._seen}", self._command(library))
        return f"{library.title} {load(library).__version__}"

    def _command(self, library: Library) -> str:
        """The line that installs a library for this driver."""
        return install_command(library, self._cuda[0] if self._cuda else None)

    def _need_gpu(self) -> None:
        if not self._seen:
            raise _MissingError("needs an NVIDIA GPU")

    def _need_driver(self) -> None:
        if self._cuda and self._cuda[0] < OLDEST_CUDA:
            known = ".".join(map(str, self._cuda))
            raise _CheckError(
                f"the driver knows CUDA {known}, but engines need one for CUDA {OLDEST_CUDA} or later; install a later "
                "driver"
            )


def _need_provider(name: str) -> Any:
    """ONNX Runtime, if it has a provider."""
    ort = importlib.import_module("onnxruntime")
    if name not in ort.get_available_providers():
        from afformer.runtime.backends.providers import INSTEAD_COMMAND

        raise _MissingError(
            f"this ONNX Runtime has no {name.removesuffix('ExecutionProvider')} provider", INSTEAD_COMMAND
        )
    return ort
