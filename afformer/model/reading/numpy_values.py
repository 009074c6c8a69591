"""NumPy's arrays and scalars as pickles describe them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from afformer.model.reading.faults import DamageError
from afformer.model.reading.objects import Placeholder

_NUMBERS = "biufc"
_MOST_DIMENSIONS = 64
_LONGEST_CODE = 8


class NumpyType:
    """A NumPy dtype; None stands for one that holds something else than numbers."""

    __slots__ = ("dtype",)

    def __init__(self, code: Any) -> None:
        self.dtype: np.dtype[Any] | None = None
        if isinstance(code, str) and 1 < len(code) <= _LONGEST_CODE and code[0] in _NUMBERS and code[1:].isdecimal():
            try:
                self.dtype = np.dtype(code)
            except TypeError as error:
                raise DamageError(f"the unknown NumPy type {code!r}") from error

    def set_state(self, state: Any) -> None:
        """Takes the byte order, the second of what NumPy stores."""
        if self.dtype is not None and isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class NumpyArray:
    """A NumPy array; `array` is None until its numbers are known, and for what holds no numbers."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array: NDArray[Any] | None = None

    def set_state(self, state: Any) -> None:
        """Takes what NumPy stores: version, shape, dtype, order, bytes.

        Raises:
            DamageError: The bytes are not those of such an array.
        """
        if not isinstance(state, tuple) or len(state) != 5:
            raise DamageError("a NumPy array without its five parts")
        _, shape, kind, by_column, raw = state
        self.array = _array(raw, kind, shape, "F" if by_column is True else "C")


def reconstruct(_arguments: tuple[Any, ...]) -> NumpyArray:
    """`_reconstruct`: an array that gets its numbers later."""
    return NumpyArray()


def from_buffer(arguments: tuple[Any, ...]) -> NumpyArray:
    """`_frombuffer(bytes, dtype, shape, order)`.

    Raises:
        DamageError: The bytes are not those of such an array.
    """
    raw, kind, shape, order = _exactly(4, arguments)
    found = NumpyArray()
    found.array = _array(raw, kind, shape, "F" if order == "F" else "C")
    return found


def scalar(arguments: tuple[Any, ...]) -> Any:
    """`scalar(dtype, bytes)`.

    Raises:
        DamageError: The bytes are not those of one number.
    """
    kind, raw = _exactly(2, arguments)
    found = _array(raw, kind, (), "C")
    return Placeholder("numpy.generic") if found is None else found[()]


def numpy_type(arguments: tuple[Any, ...]) -> NumpyType:
    """`dtype(code, align, copy)`."""
    return NumpyType(arguments[0] if arguments else None)


def _array(raw: Any, kind: Any, shape: Any, order: str) -> NDArray[Any] | None:
    """A view of `raw`, which is not copied."""
    if not isinstance(kind, NumpyType):
        raise DamageError("a NumPy array without a type")
    if kind.dtype is None or isinstance(raw, str):  # a str: Python 2's bytes that happened to be text
        return None
    if not isinstance(shape, tuple) or len(shape) > _MOST_DIMENSIONS or not isinstance(raw, bytes):
        raise DamageError("a NumPy array without a shape or bytes")
    if not all(isinstance(size, int) and 0 <= size < 2**63 for size in shape):
        raise DamageError("a NumPy array with an invalid shape")
    if math.prod(shape) * kind.dtype.itemsize != len(raw):
        raise DamageError(f"a NumPy array of {math.prod(shape):,} numbers in {len(raw):,} bytes")
    try:
        return np.frombuffer(raw, kind.dtype).reshape(shape, order="F" if order == "F" else "C")
    except ValueError as error:  # more dimensions than this NumPy knows
        raise DamageError("a NumPy array with an invalid shape") from error


def _exactly(count: int, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(arguments) != count:
        raise DamageError(f"a NumPy value of {len(arguments)} parts instead of {count}")
    return arguments
