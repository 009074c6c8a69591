"""Work arrays that live longer than one frame."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from afformer.runtime.backends.base import Array


class Workspace:
    """Hands out work arrays by name. A name's memory is allocated once, and again only when more of it is asked for.

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
        """What all names hold together."""
        return sum(len(memory) for memory in self._memory.values())
