"""Storages and tensors of a file: checked when they are met, read when they are asked for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from afformer.model.reading.faults import DamageError, RefusalError

_MOST_DIMENSIONS = 16
_MOST_BYTES = 2**63


@dataclasses.dataclass(frozen=True)
class Element:
    """A type of numbers.

    Attributes:
        name: As PyTorch calls it.
        itemsize: Bytes.
        dtype: None for a type that has no plain dtype (quantized, or of another PyTorch).
    """

    name: str
    itemsize: int
    dtype: torch.dtype | None


def _plain(name: str) -> Element:
    dtype: torch.dtype = getattr(torch, name)
    return Element(name, dtype.itemsize, dtype)


ELEMENTS = {
    name: _plain(name)
    for name in (
        *("bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"),
        *("float16", "bfloat16", "float32", "float64", "complex32", "complex64", "complex128"),
        *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"),
    )
}
"""By the name that stands behind `torch.`"""

ELEMENTS |= {"half": ELEMENTS["float16"], "float": ELEMENTS["float32"], "double": ELEMENTS["float64"]}

STORAGES = {
    "ByteStorage": ELEMENTS["uint8"],
    "CharStorage": ELEMENTS["int8"],
    "ShortStorage": ELEMENTS["int16"],
    "IntStorage": ELEMENTS["int32"],
    "LongStorage": ELEMENTS["int64"],
    "HalfStorage": ELEMENTS["float16"],
    "FloatStorage": ELEMENTS["float32"],
    "DoubleStorage": ELEMENTS["float64"],
    "BoolStorage": ELEMENTS["bool"],
    "BFloat16Storage": ELEMENTS["bfloat16"],
    "ComplexFloatStorage": ELEMENTS["complex64"],
    "ComplexDoubleStorage": ELEMENTS["complex128"],
    "QUInt8Storage": Element("quint8", 1, None),
    "QInt8Storage": Element("qint8", 1, None),
    "QInt32Storage": Element("qint32", 4, None),
    "QUInt4x2Storage": Element("quint4x2", 1, None),
    "QUInt2x4Storage": Element("quint2x4", 1, None),
    "UntypedStorage": ELEMENTS["uint8"],
    "_UntypedStorage": ELEMENTS["uint8"],
}
"""By the last part of the class name; what stands before it is the device that the tensors were on."""

_WEIGHTS = {
    *("float16", "bfloat16", "float32", "float64"),
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"),
}


class Storage:
    """A run of numbers in the file.

    Attributes:
        element: Their type.
        nbytes: Bytes that they take.
        swapped: Whether their bytes are in the other order than this machine's.
    """

    __slots__ = ("_found", "element", "fetch", "nbytes", "swapped")

    def __init__(self, element: Element, nbytes: int, fetch: Callable[[], Tensor] | None, swapped: bool) -> None:
        self.element = element
        self.nbytes = nbytes
        self.fetch = fetch
        self.swapped = swapped
        self._found: Tensor | None = None

    def bytes(self) -> Tensor:
        """`(nbytes,)` uint8, read once.

        Raises:
            DamageError: They are not in the file.
        """
        if self._found is None:
            if self.fetch is None:
                raise DamageError("the bytes of a tensor are missing")
            self._found = self.fetch()
        return self._found

    def part(self, first: int, count: int) -> Storage:
        """A view of `count` elements from `first` on.

        Raises:
            DamageError: They lie outside.
        """
        start, nbytes = first * self.element.itemsize, count * self.element.itemsize
        if first < 0 or count < 0 or start + nbytes > self.nbytes:
            raise DamageError("a view lies outside its storage")
        return Storage(self.element, nbytes, lambda: self.bytes()[start : start + nbytes], self.swapped)


class StoredTensor:
    """A tensor whose numbers are still in the file.

    Attributes:
        shape: Its sizes.
        problem: Why it cannot serve as weights, or an empty text.
    """

    __slots__ = ("_element", "_offset", "_storage", "_stride", "problem", "shape")

    def __init__(
        self, storage: Storage, element: Element, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        self._storage = storage
        self._element = element
        self._offset = offset
        self._stride = stride
        self.shape = shape
        self.problem = self._found_problem()

    def weights(self) -> Tensor:
        """Its numbers as float32, of its shape.

        Raises:
            DamageError: They are not in the file.
            RefusalError: It has a problem.
        """
        if self.problem:
            raise RefusalError(f"a tensor {self.problem}; save the weights as plain floating-point tensors")
        return self._read().float()

    def small(self, most: int) -> Tensor | None:
        """Its numbers in their own type; None for more than `most`, none at all, and types that are not plain.

        Raises:
            DamageError: They are not in the file.
        """
        plain = self._element.dtype is not None and not self._element.dtype.is_complex
        return self._read() if plain and 0 < math.prod(self.shape) <= most else None

    def _read(self) -> Tensor:
        assert self._element.dtype is not None  # else it had a problem
        found, size = self._storage.bytes(), self._element.itemsize
        if self._storage.nbytes % size:
            found = found[: self._storage.nbytes // size * size]
        if found.storage_offset() % size:
            raise DamageError("a tensor begins in the middle of a number")
        found = found.view(self._element.dtype)
        found = found.as_strided(self.shape, self._stride, found.storage_offset() + self._offset)
        return _swapped(found) if self._storage.swapped else found

    def _found_problem(self) -> str:
        if self._element.name not in _WEIGHTS:
            return f"holds {self._element.name} numbers"
        if 0 in self.shape:
            return "is empty"
        if math.prod(self.shape) * self._element.itemsize > self._storage.nbytes:
            return "is larger than what the file holds of it"
        return ""


def _swapped(tensor: Tensor) -> Tensor:
    """The same bytes in the other order, number by number."""
    numbers = tensor.reshape(-1).view(torch.uint8).view(-1, tensor.dtype.itemsize)  # (numbers, bytes of one)
    return numbers.flip(1).reshape(-1).view(tensor.dtype).reshape(tensor.shape)


class UnreadTensor(StoredTensor):
    """A tensor of a kind that is not read: sparse, nested, without data."""

    __slots__ = ()

    def __init__(self, problem: str, shape: tuple[int, ...] = ()) -> None:
        self.shape = shape
        self.problem = problem

    def small(self, most: int) -> Tensor | None:
        """None."""
        return None


def tensor_of(storage: Any, offset: Any, shape: Any, stride: Any, element: Any = None) -> StoredTensor:
    """A tensor inside its storage; `offset` and `stride` count elements.

    Raises:
        DamageError: It reaches outside the storage, or its description is invalid.
    """
    if not isinstance(storage, Storage):
        raise DamageError("a tensor without a storage")
    element = element or storage.element
    shape, stride = _sizes(shape, "sizes"), _sizes(stride, "strides")
    if len(shape) != len(stride) or not isinstance(offset, int) or not 0 <= offset < _MOST_BYTES:
        raise DamageError("a tensor whose sizes, strides and offset do not fit each other")
    if math.prod(shape) * element.itemsize >= _MOST_BYTES:
        raise DamageError("a tensor of more elements than can be counted")
    if 0 not in shape:
        last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
        if (last + 1) * element.itemsize > storage.nbytes:
            raise DamageError(f"a tensor reaches to element {last:,} of a storage of {storage.nbytes:,} bytes")
    return StoredTensor(storage, element, offset, shape, stride)


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of a tensor whose numbers stand row by row."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _sizes(found: Any, what: str) -> tuple[int, ...]:
    if isinstance(found, tuple) and len(found) <= _MOST_DIMENSIONS:
        for value in found:
            if not isinstance(value, int) or not 0 <= value < _MOST_BYTES:
                break
        else:
            return found
    raise DamageError(f"the {what} of a tensor are not at most {_MOST_DIMENSIONS} numbers from 0 on")
