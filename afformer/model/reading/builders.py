"""What a pickle may call: the functions that make containers, tensors and arrays, rewritten for plain data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from afformer.model.reading.faults import Budget, DamageError, RefusalError
from afformer.model.reading.numpy_values import NumpyArray, from_buffer, numpy_type, reconstruct, scalar
from afformer.model.reading.objects import Global, OtherKey, Placeholder, key_of
from afformer.model.reading.tensors import (
    ELEMENTS,
    Element,
    Storage,
    StoredTensor,
    UnreadTensor,
    row_major,
    tensor_of,
)

Arguments = tuple[Any, ...]

_STEPS_PER_CALL = 5


def build(target: Any, arguments: Any, budget: Budget) -> Any:
    """What the call of `target` stands for: plain data, a tensor, or a placeholder.

    Raises:
        CheckpointError: A function that we know is called in a way that its writer never did, or the budget is spent.
    """
    if not isinstance(arguments, tuple):
        raise DamageError(f"its pickle calls something with a {type(arguments).__name__} for arguments")
    if isinstance(target, Placeholder):
        return Placeholder(target.name)
    if not isinstance(target, Global):
        raise DamageError(f"its pickle calls a {type(target).__name__}")
    if target.name in _COPYING:
        budget.step(_STEPS_PER_CALL)
        return _COPYING[target.name](arguments, budget)
    if target.name in _BUILDERS:
        budget.step(_STEPS_PER_CALL)
        return _BUILDERS[target.name](arguments)
    return Placeholder(target.name)


def _mapping(arguments: Arguments, budget: Budget) -> dict[Any, Any]:
    """`OrderedDict()`, of pairs or of a dictionary."""
    found = arguments[0] if arguments else ()
    pairs = found.items() if isinstance(found, dict) else found
    if not isinstance(found, (dict, list, tuple)):
        raise DamageError(f"a dictionary made of a {type(found).__name__}")
    budget.copy(100 * len(pairs))
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        raise DamageError("a dictionary whose items are not pairs")
    return {key if isinstance(key, OtherKey) else key_of(key): value for key, value in pairs}


def _default_mapping(arguments: Arguments, budget: Budget) -> dict[Any, Any]:
    """`defaultdict(factory, pairs)`."""
    return _mapping(arguments[1:], budget)


def _encoded(arguments: Arguments, budget: Budget) -> Any:
    """`encode(text, 'latin1')`, how protocol 2 writes bytes; `bytes()` and `bytearray()` for empty ones."""
    text = arguments[0] if arguments else b""
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        return Placeholder("bytes")
    budget.copy(len(text))
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise DamageError("text that stands for bytes has characters that are not bytes") from error


def _sequence(arguments: Arguments) -> Any:
    """`Size(sizes)`, `set(elements)`: the elements as they are."""
    found = arguments[0] if arguments else []
    if not isinstance(found, (list, tuple)):
        raise DamageError(f"a sequence made of a {type(found).__name__}")
    return found


def _tensor(arguments: Arguments) -> StoredTensor:
    """`_rebuild_tensor(storage, offset, size, stride)`; version 2 adds requires_grad, hooks, metadata."""
    if len(arguments) < 4:
        raise DamageError("a tensor without storage, offset, sizes or strides")
    return _with_metadata(tensor_of(*arguments[:4]), arguments[6:7])


def _typed_tensor(arguments: Arguments) -> StoredTensor:
    """Version 3: its seventh argument is the type of the numbers, its storage knows only bytes."""
    if len(arguments) < 7:
        raise DamageError("a tensor without storage, offset, sizes, strides or type")
    storage, offset, shape, stride, _, _, dtype = arguments[:7]
    element = _element(dtype)
    if element is None:
        return UnreadTensor("holds numbers of a type that this version does not know")
    return _with_metadata(tensor_of(storage, offset, shape, stride, element), arguments[7:8])


def _with_metadata(tensor: StoredTensor, metadata: Arguments) -> StoredTensor:
    marks = metadata[0] if metadata else None
    if isinstance(marks, dict) and (marks.get("conj") or marks.get("neg")):
        return UnreadTensor("is stored as the negative or conjugate of its numbers", tensor.shape)
    return tensor


def _element(dtype: Any) -> Element | None:
    return ELEMENTS.get(dtype.name.removeprefix("torch.")) if isinstance(dtype, Global) else None


def _quantized(arguments: Arguments) -> StoredTensor:
    """`_rebuild_qtensor(storage, offset, size, stride, ...)`."""
    return UnreadTensor("is quantized", _tensor(arguments[:4]).shape)


def _parameter(arguments: Arguments) -> Any:
    """`Parameter(tensor, ...)` and what wraps a tensor in the same way: the tensor."""
    return arguments[0] if arguments and isinstance(arguments[0], StoredTensor) else Placeholder("Parameter")


def _from_array(arguments: Arguments) -> StoredTensor:
    """`_rebuild_device_tensor_from_numpy(array, dtype, device, requires_grad)`; weights are made float32 anyway."""
    if not arguments or not isinstance(arguments[0], NumpyArray):
        raise DamageError("a tensor of something that is not an array of numbers")
    return array_tensor(arguments[0])


def array_tensor(found: NumpyArray) -> StoredTensor:
    """A NumPy array as a tensor.

    Raises:
        DamageError: It holds no numbers.
    """
    if found.array is None:
        raise DamageError("a tensor of something that is not an array of numbers")
    array = found.array
    element = ELEMENTS.get(array.dtype.name)
    if element is None:
        return UnreadTensor(f"holds {array.dtype.name} numbers", array.shape)
    storage = Storage(element, array.nbytes, lambda: _raw(array), not array.dtype.isnative)
    return tensor_of(storage, 0, array.shape, row_major(array.shape))


def _raw(array: NDArray[Any]) -> Tensor:
    """`(nbytes,)` uint8, the numbers row by row."""
    return torch.from_numpy(np.array(array, order="C").reshape(-1).view(np.uint8))


def _pickled_alone(_arguments: Arguments) -> Any:
    """`_load_from_bytes(bytes)`: the storage of a tensor that was pickled without `torch.save`."""
    raise RefusalError(
        "a pickle of tensors without torch.save; load it where it was made, and torch.save its state_dict()"
    )


def _from_type(arguments: Arguments) -> Any:
    """`_rebuild_from_type_v2(function, class, arguments, state)`: a tensor of a subclass."""
    function, inner = arguments[0] if arguments else None, arguments[2] if len(arguments) > 2 else None
    if isinstance(function, Global) and isinstance(inner, tuple) and function.name in _TENSORS:
        return _TENSORS[function.name](inner)
    return Placeholder("Tensor")


def _unread(problem: str) -> Callable[[Arguments], StoredTensor]:
    return lambda _arguments: UnreadTensor(problem)


_TENSORS: dict[str, Callable[[Arguments], Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._utils._rebuild_buffer": _parameter,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _parameter,
    "torch._utils._rebuild_device_tensor_from_numpy": _from_array,
    "torch._utils._rebuild_xla_tensor": _from_array,
    "torch._utils._rebuild_qtensor": _quantized,
    "torch._utils._rebuild_sparse_tensor": _unread("is sparse"),
    "torch._utils._rebuild_sparse_csr_tensor": _unread("is sparse"),
    "torch._utils._rebuild_nested_tensor": _unread("is nested"),
    "torch._utils._rebuild_meta_tensor_no_storage": _unread("has no numbers"),
    "torch._utils._rebuild_wrapper_subclass": _unread("has no numbers"),
}

_BUILDERS: dict[str, Callable[[Arguments], Any]] = {
    **_TENSORS,
    "torch._tensor._rebuild_from_type": _from_type,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch.tensor._rebuild_from_type": _from_type,
    "torch.tensor._rebuild_from_type_v2": _from_type,
    "torch.nn.parameter.Parameter": _parameter,
    "torch.nn.parameter.Buffer": _parameter,
    "torch.autograd.variable.Variable": _parameter,
    "torch.storage._load_from_bytes": _pickled_alone,
    "torch.Size": _sequence,
    "builtins.set": _sequence,
    "builtins.frozenset": _sequence,
    "__builtin__.set": _sequence,
    "__builtin__.frozenset": _sequence,
    "numpy.dtype": numpy_type,
    **{
        f"{core}.{name}": builder
        for core in ("numpy.core", "numpy._core")
        for name, builder in (
            ("multiarray._reconstruct", reconstruct),
            ("multiarray.scalar", scalar),
            ("numeric._frombuffer", from_buffer),
        )
    },
}

_COPYING: dict[str, Callable[[Arguments, Budget], Any]] = {
    "collections.OrderedDict": _mapping,
    "collections.Counter": _mapping,
    "collections.defaultdict": _default_mapping,
    "builtins.dict": _mapping,
    "__builtin__.dict": _mapping,
    "_codecs.encode": _encoded,
    "builtins.bytes": _encoded,
    "builtins.bytearray": _encoded,
    "__builtin__.bytearray": _encoded,
}
"""Builders that copy what they are given, which a pickle can give them again and again."""
