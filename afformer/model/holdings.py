"""Everything in a checkpoint file, by the path of keys that leads to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afformer.errors import CheckpointError
from afformer.model.config_text import key_text
from afformer.model.reading.builders import array_tensor
from afformer.model.reading.faults import printable
from afformer.model.reading.numpy_values import NumpyArray
from afformer.model.reading.objects import Placeholder
from afformer.model.reading.tensors import StoredTensor
from afformer.wording import listed

_DEEPEST = 24
_LONGEST_KEY = 400
_MOST = 300_000
_LISTED = 8
_LISTED_TENSORS = 3


def leaves(content: Any) -> dict[str, Any]:
    """Tensors and whatever else is not a container, by keys joined with points; each container is visited once.

    Arrays of NumPy count as tensors. The attributes of an object that only its own code could make are visited, too.

    Raises:
        CheckpointError: There are more than any network has.
    """
    found: dict[str, Any] = {}
    seen: set[int] = set()
    waiting: list[tuple[str, Any, int]] = [("", content, 0)]
    while waiting:
        name, value, depth = waiting.pop()
        inner = _items(value)
        if inner is None:
            found[name] = array_tensor(value) if isinstance(value, NumpyArray) and value.array is not None else value
        elif id(value) not in seen and depth < _DEEPEST:
            seen.add(id(value))
            below = [
                (f"{name}.{key}" if name else key, item, depth + 1) for key, item in inner if len(key) <= _LONGEST_KEY
            ]
            waiting += reversed(below)  # the first one comes next
        if len(found) + len(waiting) > _MOST:
            raise CheckpointError(f"not an AFFormer checkpoint; it holds more than {_MOST:,} values")
    return found


def _items(value: Any) -> list[tuple[str, Any]] | None:
    if isinstance(value, Placeholder):
        value = value.state
    if isinstance(value, Mapping):
        return [(key_text(key), item) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return [(str(index), item) for index, item in enumerate(value)]
    return None


def description(content: Any, found: Mapping[str, Any]) -> str:
    """What a file holds, for a message that refuses it: its keys, and a few tensors with their shapes."""
    tensors = [(name, value) for name, value in found.items() if isinstance(value, StoredTensor)]
    parts = []
    if isinstance(content, Mapping):
        keys = [printable(key_text(key)) for key in content]
        parts.append(f"the keys {listed(keys, _LISTED)}" if keys else "no keys")
    elif isinstance(content, Placeholder):
        parts.append(f"an object of {printable(content.name)}")
    else:
        parts.append(f"a {type(content).__name__}")
    if tensors:
        shown = ", ".join(f"{printable(name)} {tuple(tensor.shape)}" for name, tensor in tensors[:_LISTED_TENSORS])
        parts.append(f"{len(tensors):,} tensors such as {shown}")
    return " with ".join(parts)
