"""The safetensors format: the header's size as uint64, a JSON header, the numbers of all tensors without gaps."""

from __future__ import annotations

import functools
import json
import math
from typing import Any

from afformer.model.reading.faults import DamageError, RefusalError, printable
from afformer.model.reading.source import Source
from afformer.model.reading.tensors import ELEMENTS, Storage, StoredTensor, UnreadTensor, row_major, tensor_of

_LARGEST_HEADER = 4 << 20
"""Some 40,000 tensors. JSON takes up to 30 times its size while it is read."""

_MOST_DIMENSIONS = 16
_MOST_BYTES = 2**63
_ELEMENTS = {
    "BOOL": ELEMENTS["bool"],
    "U8": ELEMENTS["uint8"],
    "I8": ELEMENTS["int8"],
    "U16": ELEMENTS["uint16"],
    "I16": ELEMENTS["int16"],
    "U32": ELEMENTS["uint32"],
    "I32": ELEMENTS["int32"],
    "U64": ELEMENTS["uint64"],
    "I64": ELEMENTS["int64"],
    "F16": ELEMENTS["float16"],
    "BF16": ELEMENTS["bfloat16"],
    "F32": ELEMENTS["float32"],
    "F64": ELEMENTS["float64"],
    "C64": ELEMENTS["complex64"],
    "F8_E4M3": ELEMENTS["float8_e4m3fn"],
    "F8_E5M2": ELEMENTS["float8_e5m2"],
}


def read_safetensors(source: Source) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """The tensors by name, read when they are asked for, and the metadata.

    Raises:
        CheckpointError: The file is damaged.
    """
    size = int.from_bytes(source.read(0, 8), "little")
    begin = 8 + size
    if begin > source.size:
        raise DamageError(f"a safetensors header of {size:,} bytes in a file of {source.size:,}; download it again")
    if size > _LARGEST_HEADER:
        raise RefusalError(f"a safetensors header of {size:,} bytes; at most {_LARGEST_HEADER:,} are read")
    header = _header(source.read(8, size))
    metadata = header.pop("__metadata__", None)
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise DamageError("the metadata of the safetensors header are not texts")
    _check_gaps(header, source.size - begin)
    return {name: _tensor(source, begin, entry) for name, entry in header.items()}, metadata


def _header(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:  # RecursionError: nested without end
        reason = printable(str(error)) or type(error).__name__
        raise DamageError(f"the safetensors header is not JSON ({reason})") from error
    if not isinstance(found, dict):
        raise DamageError("the safetensors header is not a JSON object")
    return found


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON can hold halves of surrogate pairs, which nothing can print: they are kept with backslashes."""
    found = {_whole(key): _whole(value) if isinstance(value, str) else value for key, value in pairs}
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _whole(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _check_gaps(header: dict[str, Any], size: int) -> None:
    """Every byte belongs to one tensor, and no more are claimed than there are."""
    ranges = sorted(_range(name, entry) for name, entry in header.items())
    at = 0
    for begin, end in ranges:
        if begin != at:
            raise DamageError(f"the tensors of the safetensors file overlap, or leave a gap, at byte {begin:,}")
        at = end
    if at != size:
        raise DamageError(f"the tensors of the safetensors file take {at:,} bytes, {size:,} are there")


def _range(name: str, entry: Any) -> tuple[int, int]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise DamageError(f"the safetensors header does not describe {printable(name)}")
    found = entry["data_offsets"]
    if not isinstance(found, list) or len(found) != 2 or not _are_sizes(found) or found[0] > found[1]:
        raise DamageError(f"the safetensors header has no place for {printable(name)}")
    return found[0], found[1]


def _tensor(source: Source, begin: int, entry: dict[str, Any]) -> StoredTensor:
    """A tensor whose place has been checked."""
    (first, last), shape = entry["data_offsets"], entry["shape"]
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS or not _are_sizes(shape):
        raise DamageError("the safetensors header has an invalid shape")
    element = _ELEMENTS.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if element is None:
        return UnreadTensor(f"holds {printable(str(entry['dtype']))} numbers", tuple(shape))
    if math.prod(shape) * element.itemsize != last - first:
        raise DamageError(f"a tensor {shape} of {element.name} takes {last - first:,} bytes in the safetensors file")
    storage = Storage(element, last - first, functools.partial(source.tensor, begin + first, last - first), False)
    return tensor_of(storage, 0, tuple(shape), row_major(shape))


def _are_sizes(values: list[Any]) -> bool:
    return all(type(value) is int and 0 <= value < _MOST_BYTES for value in values)
