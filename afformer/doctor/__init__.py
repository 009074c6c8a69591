"""What this machine can run, what is missing, and the commands that install it.

Every check tries the real thing: a backend is ready if it can be imported, or opens the bundled model where that is
quick. A check that fails is a finding, never an error.
"""

from __future__ import annotations

from afformer.doctor import checks
from afformer.doctor.findings import Check, Diagnosis, Finding, State
from afformer.doctor.nvidia import Nvidia
from afformer.extras import EXPORT_PACKAGES, opencv_command
from afformer.measure.machine import Machine
from afformer.tensorrt.packages import Library

__all__ = ["Diagnosis", "Finding", "State", "diagnose"]

_EXPORT = 'pip install "afformer[export]"'


def diagnose() -> Diagnosis:
    """Checks everything; takes a second or two."""
    machine = Machine.here()
    return Diagnosis(machine, tuple(check.run() for check in _checks(machine)))


def _checks(machine: Machine) -> tuple[Check, ...]:
    nvidia = Nvidia()
    runs, makes, pictures, cpp = "Runs models", "Makes models", "Pictures", "C++"
    return (
        Check("Processor", "fast INT8", lambda: checks.int8(machine)),
        Check("Processor", "bfloat16", lambda: checks.bf16(machine)),
        Check(runs, "onnxruntime", checks.onnxruntime, "pip install onnxruntime"),
        Check(runs, "openvino", checks.openvino, 'pip install "afformer[openvino]"'),
        Check(runs, "pytorch", lambda: checks.packages("torch"), _EXPORT),
        Check(runs, "NVIDIA GPU", nvidia.driver),
        Check(runs, "onnxruntime on cuda", nvidia.onnxruntime_cuda),
        Check(runs, "onnxruntime-tensorrt", nvidia.onnxruntime_tensorrt),
        Check(runs, "tensorrt", lambda: nvidia.runs_engines(Library.TENSORRT)),
        Check(runs, "tensorrt, rtx engines", lambda: nvidia.runs_engines(Library.TENSORRT_RTX)),
        Check(makes, "export", lambda: checks.packages(*EXPORT_PACKAGES), _EXPORT),
        Check(makes, "quantize", lambda: checks.packages("onnx", "jinja2"), 'pip install "afformer[quantize]"'),
        Check(makes, "engine", nvidia.builds_engines),
        Check(pictures, "videos", checks.videos, opencv_command(windows=False)),
        Check(pictures, "windows", checks.windows, opencv_command(windows=True)),
        Check(cpp, "compiler", lambda: checks.tool("c++", "g++", "clang++"), "sudo apt-get install g++"),
        Check(cpp, "cmake", lambda: checks.tool("cmake"), "sudo apt-get install cmake"),
    )
