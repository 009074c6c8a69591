"""The interface of all backends: one loaded model, called with a tensor."""

from __future__ import annotations

import abc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from afformer.errors import BackendError
from afformer.runtime.at_exit import finished_before_exit
from afformer.runtime.choices import Device
from afformer.spec import InputKind, ModelSpec, OutputKind

_THREADS_PER_CORE = 4

Array = npt.NDArray[Any]
"""A tensor of any type."""


class TensorInfo(NamedTuple):
    """A model's input or output tensor."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


class GraphTensor(NamedTuple):
    """An input or output as a graph declares it: numpy's name of the type; lengths that are not fixed are not ints."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]

    def __str__(self) -> str:
        lengths = ", ".join(str(length) if isinstance(length, int) else "?" for length in self.shape)
        return f"'{self.name}' {self.dtype}[{lengths}]"


class Backend(abc.ABC):
    """One loaded model. A subclass sets `spec` and `description` and implements `_run` and, if need be, `_close`.

    Any number of threads may call `run` at the same time, so `_run` writes to nothing that two threads share.
    """

    spec: ModelSpec
    description: str
    """Name, version and device, for people."""
    _closed = False

    def run(self, image: Array) -> Array:
        """Runs the model once.

        Args:
            image: The tensor that `spec.input` describes, with `spec.batch` pictures: `(n, 3, H, W)` float32 or
                `(n, H, W, 3)` uint8.

        Returns:
            The tensor that `spec.output` describes. It may be a buffer that the same thread's next call overwrites.

        Raises:
            BackendError: The tensor's shape or type is not the model's, or the backend is closed.
        """
        name, shape, dtype = input_tensor(self.spec)
        if self._closed:
            raise self._closed_error()
        if image.shape != shape or image.dtype != dtype:
            raise BackendError(
                f"input '{name}' must be {dtype} of shape {shape}, but got {image.dtype} of shape {image.shape}; "
                "prepare pictures with afformer.runtime.preprocess"
            )
        with finished_before_exit():
            return _as_promised(self._run(np.ascontiguousarray(image)), self.spec, self.description)

    def close(self) -> None:
        """Frees the model, once no call uses it; it cannot be used afterwards. Closing twice does nothing."""
        if not self._closed:
            self._closed = True
            self._close()

    def _closed_error(self) -> BackendError:
        return BackendError(f"{self.description}: already closed; open the model again")

    @abc.abstractmethod
    def _run(self, image: Array) -> Array: ...

    def _close(self) -> None:  # noqa: B027 - optional: most backends have nothing to free
        """Frees what the subclass holds; called once."""

    def __enter__(self) -> Backend:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def input_tensor(spec: ModelSpec) -> TensorInfo:
    """The model's input tensor."""
    (height, width), name = spec.input_hw, spec.input_name or "image"
    if spec.input is InputKind.UINT8:
        return TensorInfo(name, (spec.batch, height, width, 3), np.dtype(np.uint8))
    return TensorInfo(name, (spec.batch, 3, height, width), np.dtype(np.float32))


def output_tensor(spec: ModelSpec) -> TensorInfo:
    """The model's output tensor."""
    name = spec.output_name or spec.output.value
    if spec.output is OutputKind.CLASSMAP:
        dtype = np.dtype(np.uint8 if spec.num_classes <= 256 else np.int32)
        return TensorInfo(name, (spec.batch, *spec.input_hw), dtype)
    return TensorInfo(name, (spec.batch, spec.num_classes, *spec.logits_hw), np.dtype(np.float32))


def _as_promised(output: Array, spec: ModelSpec, description: str) -> Array:
    """The output as `output_tensor` has it; somebody else's model may give class ids of another type and shape.

    Raises:
        BackendError: Class ids beyond the spec's classes.
    """
    _, shape, dtype = output_tensor(spec)
    if output.shape == shape and output.dtype == dtype:
        return output
    if dtype.kind != "f" and not 0 <= output.min() <= output.max() < spec.num_classes:
        wrong = next(value for value in (output.min(), output.max()) if not 0 <= value < spec.num_classes)
        raise BackendError(
            f"{description}: gives class id {wrong}, but the spec names {spec.num_classes} classes; correct the spec"
        )
    return output.reshape(shape).astype(dtype)


def check_tensors(
    found: Sequence[GraphTensor],
    spec: ModelSpec,
    path: Path,
    *,
    kind: str = "model",
    remedy: str = "export it again",
) -> None:
    """Checks that a loaded model has the input and the output that its spec promises.

    Args:
        found: The model's inputs, then its outputs: name, numpy's name of the type, shape.
        spec: The model's spec.
        path: The model file.
        kind: What the message calls it.
        remedy: What the message advises.

    Raises:
        BackendError: It has others.
    """
    promised = [(name, dtype.name, shape) for name, shape, dtype in (input_tensor(spec), output_tensor(spec))]
    expected, actual = (
        [f"{name} {dtype}[{', '.join(map(str, shape))}]" for name, dtype, shape in tensors]
        for tensors in (promised, found)
    )
    if actual != expected:
        raise BackendError(
            f"{path}: differs from its own spec: expected the tensors {' and '.join(expected)}, but the {kind} has "
            f"{' and '.join(actual) or 'none'}; {remedy}"
        )


def has_utf8_name(path: Path) -> bool:
    """Whether native libraries can be given the path; where it is not UTF-8 they need the file's content."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def parse_device(name: Device | str) -> Device:
    """The device of that name.

    Raises:
        BackendError: There is none.
    """
    try:
        return Device(name)
    except ValueError as error:
        known = ", ".join(device.value for device in Device)
        raise BackendError(f"unknown device '{name}'; known devices: {known}") from error


def check_threads(threads: int) -> None:
    """Refuses thread counts that no backend should start.

    Raises:
        BackendError: Below 0, or more than four a core.
    """
    if threads < 0:
        raise BackendError(f"threads must be 0 (automatic) or more, got {threads}")
    most = _THREADS_PER_CORE * (os.cpu_count() or 1)
    if threads > most:
        raise BackendError(f"{threads} threads are too many for this machine; expected 0 (automatic) to {most}")
