"""The machine and the software that a figure was measured on."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from afformer.wording import count

_FLAGS = {
    *("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16"),  # x86
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2"),  # ARM; asimddp are its 8-bit dot products
}
"""CPU features that decide how fast networks run, by the names that Linux gives them."""
_PACKAGES = (
    *("afformer", "numpy", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu", "openvino", "nncf"),
    *("tensorrt", "torch"),
)
_CPUINFO = Path("/proc/cpuinfo")
_BOARD = Path("/proc/device-tree/model")


@dataclasses.dataclass(frozen=True)
class Machine:
    """Where something was measured.

    Attributes:
        board: The single-board computer's name; empty elsewhere.
        cpu: The processor's name.
        cores: Logical cores that this process may use.
        flags: CPU features that decide how fast networks run, sorted.
        system: Operating system and architecture.
        python: Python's version.
        packages: Versions of the packages that compute, by name; those that are installed.
    """

    board: str
    cpu: str
    cores: int
    flags: tuple[str, ...]
    system: str
    python: str
    packages: dict[str, str]

    @classmethod
    def here(cls) -> Machine:
        """This machine."""
        info = _cpu_info()
        return cls(
            board=_BOARD.read_text().strip("\0\n") if _BOARD.exists() else "",
            cpu=info.get("model name") or platform.processor() or platform.machine(),
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            flags=tuple(sorted(_FLAGS & set((info.get("flags") or info.get("Features") or "").split()))),
            system=f"{platform.system()} {platform.release()}, {platform.machine()}",
            python=platform.python_version(),
            packages=_versions(),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return dataclasses.asdict(self)

    def to_text(self) -> str:
        """Two lines for people."""
        name = ", ".join(filter(None, (self.board, self.cpu)))
        flags = " ".join(self.flags) or "no known features"
        versions = ", ".join(f"{package} {version}" for package, version in self.packages.items())
        return f"{name}; {count(self.cores, 'core')}; {flags}\n{self.system}; Python {self.python}; {versions}"


def _cpu_info() -> dict[str, str]:
    """What Linux says of the first core."""
    if not _CPUINFO.exists():
        return {}
    first = _CPUINFO.read_text(errors="replace").split("\n\n", 1)[0]
    fields = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in fields}


def _versions() -> dict[str, str]:
    installed = {}
    for package in _PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed
