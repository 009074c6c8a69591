"""Scratch memory that is allocated once and reused for every frame."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from afformer.runtime.backends.base import Array


class Workspace:
    """Scratch arrays by name: asking for a name again reuses its memory, which grows when it is too small.

    An array is valid until its name is asked for again. Not to be shared between threads.
    """

    def __init__(self) -> None:
        self._memory: dict[str, npt.NDArray[np.uint8]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """An uninitialised, contiguous array of the shape and type."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        memory = self._memory.get(name)
        if memory is None or len(memory) < size:
            memory = self._memory[name] = np.empty(size, np.uint8)
        return memory[:size].view(dtype).reshape(shape)

    @property
    def nbytes(self) -> int:
        """Bytes held under all names."""
        return sum(len(memory) for memory in self._memory.values())
