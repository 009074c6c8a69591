"""Checks of the processor, of Python packages and of tools: all that needs no NVIDIA GPU."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess

from afformer.doctor.findings import MissingError
from afformer.measure.machine import Machine
from afformer.telemetry import without_telemetry

_VERSION_SECONDS = 1.5
_INT8 = {
    "amx_int8": "AMX",
    "avx512_vnni": "AVX512-VNNI",
    "avx_vnni": "AVX-VNNI",
    "i8mm": "8-bit matrix products",
    "asimddp": "8-bit dot products",
}
"""Processor flags of fast 8-bit products, and their names for people."""
_BF16 = ("amx_bf16", "avx512_bf16", "bf16")


def int8(machine: Machine) -> str:
    """Instructions that make INT8 fast."""
    found = [title for flag, title in _INT8.items() if flag in machine.flags]
    if found:
        return ", ".join(found)
    if not machine.flags:
        raise MissingError("this system does not tell what the processor has")
    raise MissingError("no instructions for 8-bit products: INT8 runs, but gains little over float32")


def bf16(machine: Machine) -> str:
    """Instructions for bfloat16."""
    found = [flag for flag in _BF16 if flag in machine.flags]
    if not found:
        raise MissingError("the processor has none; nothing here needs it")
    return f"{', '.join(found)}: OpenVINO's default precision, which this package uses only on request"


def onnxruntime() -> str:
    """ONNX Runtime's version and execution providers."""
    with without_telemetry():
        ort = importlib.import_module("onnxruntime")
    names = [str(name).removesuffix("ExecutionProvider") for name in ort.get_available_providers()]
    return f"{ort.__version__}, providers: {', '.join(names)}"


def openvino() -> str:
    """OpenVINO's version."""
    return str(importlib.import_module("openvino").__version__).split("-", 1)[0]


def packages(*names: str) -> str:
    """Versions of packages that take too long to import.

    Raises:
        ModuleNotFoundError: One is not installed.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(name=name)
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def videos() -> str:
    """Whether OpenCV reads videos and streams."""
    cv2 = importlib.import_module("cv2")
    if not re.search(r"FFMPEG:\s+YES", cv2.getBuildInformation()):
        raise MissingError(f"OpenCV {cv2.__version__} was built without FFmpeg: no videos, no streams")
    return f"OpenCV {cv2.__version__} with FFmpeg"


def windows() -> str:
    """Whether OpenCV opens windows."""
    cv2 = importlib.import_module("cv2")
    found = re.search(r"GUI:\s+(\S+)", cv2.getBuildInformation())
    if found is None or found[1] == "NONE":
        raise MissingError("this OpenCV has no windows; only a live view needs them")
    return f"OpenCV with {found[1]}"


def tool(*names: str) -> str:
    """Version of the first of several programs that is installed."""
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        raise MissingError(f"no {' or '.join(names)}")
    result = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_VERSION_SECONDS, check=True)
    return result.stdout.splitlines()[0]
