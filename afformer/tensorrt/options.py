"""Options of an engine."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from afformer.choice import take_choices
from afformer.errors import ExportError
from afformer.tensorrt.packages import Library

_TENSORRT_ONLY = ("timing_cache", "version_compatible", "hardware_compatible")


@dataclasses.dataclass(frozen=True)
class EngineOptions:
    """How an engine is built. Enums may be given as their strings.

    Attributes:
        library: What builds it, and runs it later.
        workspace_mib: MiB of GPU memory that a layer may use for itself; None leaves it to TensorRT.
        timing_cache: File of measured kernels that later builds on the same GPU start from; created or extended.
        version_compatible: Whether later versions of TensorRT may run the engine. It grows, and may be slower.
        hardware_compatible: Whether other GPUs, Ampere or later, may run the engine. It may be slower. Not on Jetson.
    """

    library: Library = Library.TENSORRT
    workspace_mib: int | None = None
    timing_cache: Path | None = None
    version_compatible: bool = False
    hardware_compatible: bool = False

    def __post_init__(self) -> None:
        take_choices(self, library=Library)
        if self.timing_cache is not None:
            object.__setattr__(self, "timing_cache", Path(self.timing_cache))
        if self.workspace_mib is not None and self.workspace_mib < 1:
            raise ExportError(f"`workspace_mib` must be at least 1 MiB, got {self.workspace_mib}")
        given = next((name for name in _TENSORRT_ONLY if getattr(self, name)), None)
        if self.library is Library.TENSORRT_RTX and given:
            raise ExportError(f"`{given}` is for TensorRT; TensorRT-RTX finishes its engines on the GPU that runs them")


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How a float32 model becomes INT8.

    Attributes:
        pictures: Folder of pictures like those that the engine will see.
        max_drop: Points of agreement with the float model that may be lost; infinity accepts any loss, None takes what
            `QuantizeOptions` does.
        allow_drop: Whether to accept a larger loss.
    """

    pictures: Path
    max_drop: float | None = None
    allow_drop: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "pictures", Path(self.pictures))
