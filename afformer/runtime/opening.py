"""`OpenOptions`: how a model is opened, for every function and command that runs one."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from afformer.choice import take_choices
from afformer.files import AnyPath
from afformer.model.choices import AS_THE_FILE_SAYS, CheckpointOptions
from afformer.runtime.choices import Device, Fit

if TYPE_CHECKING:  # heavy, and the commands' help needs none of it
    from afformer.runtime.backends.base import Backend
    from afformer.runtime.segmenter import Segmenter


@dataclasses.dataclass(frozen=True)
class OpenOptions:
    """How a model file is opened. Enums may be given as their strings.

    Attributes:
        backend: Name of the backend; chosen by the file's suffix if None.
        device: Where to run; None means the CPU, or CUDA for backends that need it.
        threads: CPU threads; 0 leaves the choice to the backend.
        fit: How pictures are brought to the input size.
        input_hw: Size to run a checkpoint at, in pixels; an exported model has its own.
        checkpoint: What is said about a checkpoint: its normalisation, weights and classes.
    """

    backend: str | None = None
    device: Device | None = None
    threads: int = 0
    fit: Fit = Fit.STRETCH
    input_hw: tuple[int, int] | None = None
    checkpoint: CheckpointOptions = AS_THE_FILE_SAYS

    def __post_init__(self) -> None:
        take_choices(self, device=Device, fit=Fit)

    def open_backend(self, model: AnyPath) -> Backend:
        """Opens a model file."""
        from afformer.runtime.backends.registry import open_backend

        return open_backend(
            model,
            self.backend,
            device=self.device,
            threads=self.threads,
            input_hw=self.input_hw,
            checkpoint=self.checkpoint,
        )

    @contextlib.contextmanager
    def open_segmenter(self, model: AnyPath) -> Iterator[Segmenter]:
        """Opens a model file as a segmenter, and closes it at the end."""
        from afformer.runtime.segmenter import Segmenter

        with self.open_backend(model) as backend:
            yield Segmenter(backend, fit=self.fit)


DEFAULT = OpenOptions()
"""The backend that the file's suffix names, on its usual device."""
