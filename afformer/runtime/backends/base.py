"""The small interface behind which every inference engine lives."""

from __future__ import annotations

import abc
import enum
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from afformer.errors import BackendError
from afformer.spec import InputKind, ModelSpec, OutputKind

_THREADS_PER_CORE = 4

Array = npt.NDArray[Any]
"""A tensor whose type is checked when it is used, not before."""


class Device(enum.Enum):
    """Where a model runs. What was asked for and is not there is an error, never a silent CPU."""

    CPU = "cpu"
    CUDA = "cuda"


class TensorInfo(NamedTuple):
    """Name, shape and type of a model's input or output tensor."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


class Backend(abc.ABC):
    """One loaded model on one engine. A subclass gives `spec`, `description`, `_run` and, if it must, `_close`.

    Not to be shared between threads.
    """

    spec: ModelSpec
    """What the model says of itself."""
    description: str
    """Engine, version and device, for people."""
    _closed = False

    def run(self, image: Array) -> Array:
        """Runs the model once.

        Args:
            image: The tensor that `spec.input` describes, with `spec.batch` pictures: `(n, 3, H, W)` float32 or
                `(n, H, W, 3)` uint8.

        Returns:
            The tensor that `spec.output` describes. It may be a buffer that the next call overwrites.

        Raises:
            BackendError: The tensor's shape or type is not the model's, or the backend is closed.
        """
        name, shape, dtype = input_tensor(self.spec)
        if self._closed:
            raise BackendError(f"{self.description}: already closed; open the model again")
        if image.shape != shape or image.dtype != dtype:
            raise BackendError(
                f"input '{name}' must be {dtype} of shape {shape}, but got {image.dtype} of shape {image.shape}; "
                "prepare pictures with afformer.runtime.preprocess"
            )
        return self._run(np.ascontiguousarray(image))

    def close(self) -> None:
        """Frees the engine; the backend cannot be used afterwards. Closing twice does nothing."""
        if not self._closed:
            self._closed = True
            self._close()

    @abc.abstractmethod
    def _run(self, image: Array) -> Array: ...

    def _close(self) -> None:  # noqa: B027 - optional: most engines have nothing to free
        """Frees what the subclass holds; called once."""

    def __enter__(self) -> Backend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def input_tensor(spec: ModelSpec) -> TensorInfo:
    """The model's input tensor."""
    height, width = spec.input_hw
    if spec.input is InputKind.UINT8:
        return TensorInfo("image", (spec.batch, height, width, 3), np.dtype(np.uint8))
    return TensorInfo("image", (spec.batch, 3, height, width), np.dtype(np.float32))


def output_tensor(spec: ModelSpec) -> TensorInfo:
    """The model's output tensor."""
    if spec.output is OutputKind.CLASSMAP:
        dtype = np.dtype(np.uint8 if spec.num_classes <= 256 else np.int32)
        return TensorInfo("classmap", (spec.batch, *spec.input_hw), dtype)
    return TensorInfo("logits", (spec.batch, spec.num_classes, *spec.logits_hw), np.dtype(np.float32))


Described = tuple[str, str, tuple[int | str, ...]]
"""Name, type and shape of a tensor that a model has, in its engine's words."""


def tensor_text(tensor: Described) -> str:
    """A tensor for people, `image float32[1, 3, 360, 480]`."""
    name, kind, shape = tensor
    return f"{name} {kind}[{', '.join(map(str, shape))}]"


def check_tensor(found: Sequence[Described], expected: Described, path: Path) -> None:
    """Whether a model's inputs, or its outputs, are the one that its spec promises.

    Raises:
        BackendError: They are not.
    """
    if list(found) != [expected]:
        raise BackendError(
            f"{path}: differs from its own spec: expected the tensor {tensor_text(expected)}, but the model has "
            f"{', '.join(map(tensor_text, found))}; export it again"
        )


def parse_device(name: Device | str) -> Device:
    """A device from its name.

    Raises:
        BackendError: No such device.
    """
    try:
        return Device(name)
    except ValueError as error:
        known = ", ".join(device.value for device in Device)
        raise BackendError(f"unknown device '{name}'; known devices: {known}") from error


def check_threads(threads: int) -> None:
    """Refuses thread counts before an engine starts them.

    Raises:
        BackendError: Below 0, or so many that they only stand in each other's way or take the machine down.
    """
    if threads < 0:
        raise BackendError(f"threads must be 0 (automatic) or more, got {threads}")
    most = _THREADS_PER_CORE * (os.cpu_count() or 1)
    if threads > most:
        raise BackendError(f"{threads} threads are too many for this machine; expected 0 (automatic) to {most}")
