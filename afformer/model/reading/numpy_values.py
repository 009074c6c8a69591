"""NumPy's arrays and scalars as pickles describe them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from afformer.model.reading.faults import DamageError
from afformer.model.reading.objects import Placeholder

_NUMBERS = "biufc"
_TEXTS = "US"
_MOST_TEXTS = 65_536
_MOST_DIMENSIONS = 64
_LONGEST_CODE = 8


class NumpyType:
    """A NumPy dtype.

    Attributes:
        dtype: None for one that holds something else than numbers.
        texts: None for one that holds something else than texts.
    """

    __slots__ = ("dtype", "texts")

    def __init__(self, code: Any) -> None:
        self.dtype: np.dtype[Any] | None = None
        self.texts: np.dtype[Any] | None = None
        if isinstance(code, str) and 1 < len(code) <= _LONGEST_CODE and code[1:].isdecimal():
            try:
                self.dtype = np.dtype(code) if code[0] in _NUMBERS else None
                self.texts = np.dtype(code) if code[0] in _TEXTS else None
            except TypeError as error:
                raise DamageError(f"the unknown NumPy type {code!r}") from error

    def set_state(self, state: Any) -> None:
        """Takes the byte order, the second of what NumPy stores."""
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.dtype = None if self.dtype is None else self.dtype.newbyteorder(state[1])
            self.texts = None if self.texts is None else self.texts.newbyteorder(state[1])


class NumpyArray:
    """A NumPy array.

    Attributes:
        array: None until its numbers are known, and for what holds no numbers.
        items: The texts or objects of an array that holds those; None for others.
    """

    __slots__ = ("array", "items")

    def __init__(self) -> None:
        self.array: NDArray[Any] | None = None
        self.items: list[Any] | None = None

    def set_state(self, state: Any) -> None:
        """Takes what NumPy stores: version, shape, dtype, order, bytes.

        Raises:
            DamageError: The bytes are not those of such an array.
        """
        if not isinstance(state, tuple) or len(state) != 5:
            raise DamageError("a NumPy array without its five parts")
        _, shape, kind, by_column, raw = state
        self.array = _array(raw, kind, shape, "F" if by_column is True else "C")
        self.items = _items(raw, kind) if self.array is None else None


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
    found.items = _items(raw, kind) if found.array is None else None
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


def _items(raw: Any, kind: NumpyType) -> list[Any] | None:
    """The texts or objects of an array, all in one row; None if there are none, or too many for names."""
    if isinstance(raw, list):
        return raw
    if kind.texts is None or not isinstance(raw, bytes) or not kind.texts.itemsize:
        return None
    if len(raw) % kind.texts.itemsize or len(raw) > _MOST_TEXTS * kind.texts.itemsize:
        return None
    try:
        found: list[Any] = np.frombuffer(raw, kind.texts).tolist()
    except ValueError as error:  # numbers that are no characters
        raise DamageError("a NumPy array of texts that are not Unicode") from error
    return found


def _exactly(count: int, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(arguments) != count:
        raise DamageError(f"a NumPy value of {len(arguments)} parts instead of {count}")
    return arguments
