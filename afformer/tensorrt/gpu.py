"""The NVIDIA GPU and its driver, as far as they can be seen without calling CUDA."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

from afformer.errors import BackendError

OLDEST_CUDA = 12
"""The oldest CUDA that a driver must support: `afformer.tensorrt.cuda` calls CUDA as it is since then."""
_JETSON = Path("/etc/nv_tegra_release")
_SMI_SECONDS = 10.0
"""A sleeping driver takes seconds to wake up."""


@dataclasses.dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU.

    Attributes:
        name: As the driver gives it.
        compute_capability: Major and minor number.
    """

    name: str
    compute_capability: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.name} (compute capability {'.'.join(map(str, self.compute_capability))})"


def is_jetson() -> bool:
    """Whether this is one of NVIDIA's boards, whose TensorRT comes with the system."""
    return _JETSON.exists()


def check_driver(*cuda: int) -> None:
    """Checks that a driver is new enough for engines.

    Args:
        cuda: The newest CUDA version that the driver supports: the major number, and the minor one if known.

    Raises:
        BackendError: It is too old.
    """
    if cuda[0] < OLDEST_CUDA:
        version = ".".join(map(str, cuda))
        raise BackendError(
            f"the NVIDIA driver supports CUDA {version}, but engines need a driver for CUDA {OLDEST_CUDA} or later; "
            "install a later driver"
        )


def nvidia_smi() -> str:
    """Name and driver version of the first GPU according to `nvidia-smi`; empty if that tool is not installed.

    Raises:
        BackendError: The tool fails or does not answer.
    """
    path = shutil.which("nvidia-smi")
    if path is None:
        return ""
    query = [path, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        result = subprocess.run(query, capture_output=True, text=True, timeout=_SMI_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise BackendError(
            f"nvidia-smi gives no answer in {_SMI_SECONDS:g} s; check NVIDIA's driver, or restart the machine"
        ) from error
    except OSError as error:
        raise BackendError(f"nvidia-smi cannot be started ({error.strerror}); install NVIDIA's driver again") from error
    first = (result.stdout.strip() or result.stderr.strip() or "no output").splitlines()[0]
    if result.returncode:
        raise BackendError(f"nvidia-smi fails: {first}")
    return first
