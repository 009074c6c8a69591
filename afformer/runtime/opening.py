"""`OpenOptions`: how a model is opened, for every function and command that runs one."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
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
        spec: Spec file of an ONNX model that has no spec of its own.
    """

    backend: str | None = None
    device: Device | None = None
    threads: int = 0
    fit: Fit = Fit.STRETCH
    input_hw: tuple[int, int] | None = None
    checkpoint: CheckpointOptions = AS_THE_FILE_SAYS
    spec: AnyPath | None = None

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
            spec=self.spec,
        )

    @contextlib.contextmanager
    def open_segmenter(self, model: AnyPath) -> Iterator[Segmenter]:
        """Opens a model file as a segmenter, and closes it at the end."""
        from afformer.runtime.segmenter import Segmenter

        with self.open_backend(model) as backend:
            yield Segmenter(backend, fit=self.fit)


DEFAULT = OpenOptions()
"""The backend that the file's suffix names, on its usual device."""


def with_spec_where_due(models: Iterable[Path], open_options: OpenOptions) -> dict[Path, OpenOptions]:
    """How each of several models is opened: the spec that is said belongs to those that have none.

    Args:
        models: Model files or checkpoints.
        open_options: What is said of all of them.

    Raises:
        BackendError: One of them cannot be opened.
    """
    models = tuple(models)
    lacking = {model for model in models if lacks_spec(model)} if open_options.spec is not None else set()
    without = dataclasses.replace(open_options, spec=None)
    return {model: open_options if model in lacking or not lacking else without for model in models}


def lacks_spec(model: Path) -> bool:
    """Whether this is an ONNX model without a spec of its own.

    Raises:
        BackendError: It cannot be opened.
    """
    from afformer.runtime.backends.registry import backend_name

    if backend_name(model) != "onnxruntime":
        return False
    from afformer.runtime.backends.onnxruntime import read_graph

    return read_graph(model).spec_text is None
