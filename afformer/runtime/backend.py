"""The small interface behind which every inference engine lives."""

from __future__ import annotations

import abc
from types import TracebackType

import numpy as np
import numpy.typing as npt

from afformer.errors import BackendError
from afformer.spec import InputKind, ModelSpec

Array = npt.NDArray[np.generic]


class Backend(abc.ABC):
    """One loaded model on one engine. A subclass gives `spec`, `description`, `_run` and, if it must, `close`."""

    spec: ModelSpec
    """What the model says of itself."""
    description: str
    """Engine, version and device, for people."""

    def run(self, image: Array) -> Array:
        """Runs the model once.

        Args:
            image: The tensor that `spec.input` describes, with `spec.batch` pictures: `(n, 3, H, W)` float32 or
                `(n, H, W, 3)` uint8.

        Returns:
            The tensor that `spec.output` describes. It may be a buffer that the next call overwrites.

        Raises:
            BackendError: The tensor's shape or type is not the model's.
        """
        shape, dtype = input_tensor(self.spec)
        if image.shape != shape or image.dtype != dtype:
            raise BackendError(
                f"input 'image' must be {dtype} of shape {shape}, but got {image.dtype} of shape {image.shape}; "
                "prepare pictures with afformer.runtime.preprocess"
            )
        return self._run(np.ascontiguousarray(image))

    @abc.abstractmethod
    def _run(self, image: Array) -> Array: ...

    def close(self) -> None:
        """Frees the engine. The backend cannot be used afterwards."""

    def __enter__(self) -> Backend:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def input_tensor(spec: ModelSpec) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Shape and dtype of the model's input tensor."""
    height, width = spec.input_hw
    if spec.input is InputKind.UINT8:
        return (spec.batch, height, width, 3), np.dtype(np.uint8)
    return (spec.batch, 3, height, width), np.dtype(np.float32)
