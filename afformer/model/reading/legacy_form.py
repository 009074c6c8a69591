"""The stream that `torch.save` wrote from 0.1.11 to 1.5, and still writes on request.

Five pickles one after another (a magic number, the protocol, the machine, the content, the storages' keys), then for
each key the number of elements as int64 and the elements, little-endian on every machine.
"""

from __future__ import annotations

import functools
from typing import Any

from afformer.model.reading.faults import Budget, DamageError, RefusalError
from afformer.model.reading.machine import read_pickle
from afformer.model.reading.source import Source
from afformer.model.reading.storages import Storages, storage_id

MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_STEPS_PER_STORAGE = 10
_LIKELY_CONTENT = 512 << 10


class LegacyForm:
    """The storages of a stream, met in its content and placed after it."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._storages = Storages()

    def storage(self, pid: Any) -> Any:
        """`('storage', type, key, device, elements, view)` -> the storage, or a view of it; `('module', class, ...)`.

        Raises:
            DamageError: It is something else, or contradicts what was said of the storage before.
        """
        if isinstance(pid, tuple) and len(pid) > 1 and pid[0] == "module":
            return pid[1]  # the class; behind it stands its source code
        root = self._storages.known(storage_id(pid))
        view = pid[5] if len(pid) > 5 else None
        if view is None:
            return root
        if not isinstance(view, tuple) or len(view) != 3 or not all(isinstance(number, int) for number in view[1:]):
            raise DamageError("an invalid view of a storage")
        self._budget.step(_STEPS_PER_STORAGE)
        return root.part(view[1], view[2])

    def place(self, source: Source, at: int, keys: Any) -> None:
        """Finds the bytes of each storage, from `at` on.

        Raises:
            DamageError: The file is too short for them, or the keys are not those of the content.
        """
        if not isinstance(keys, list):
            raise DamageError("the list of storages is missing")
        for key in keys:
            self._budget.step(_STEPS_PER_STORAGE)
            root = self._storages.get(key)
            if root is None:
                raise DamageError("the file lists a storage that its content does not have")
            count = int.from_bytes(source.read(at, 8), "little", signed=True)
            at += 8
            if count * root.element.itemsize != root.nbytes or at + root.nbytes > source.size:
                raise DamageError(f"a storage of {root.nbytes:,} bytes is cut")
            root.fetch = functools.partial(source.tensor, at, root.nbytes)
            at += root.nbytes


def read_legacy(source: Source, budget: Budget) -> Any:
    """The content of a stream that `torch.save` wrote; its tensors are read when they are asked for.

    A pickle of another program is its content itself: a model zoo's `.pkl` holds arrays of NumPy.

    Raises:
        CheckpointError: It is damaged, or a pickle without weights.
    """
    read = functools.partial(read_pickle, source, end=source.size, budget=budget)
    magic, at = read(0)
    if isinstance(magic, (dict, list, tuple)) and at == source.size:
        return magic
    if magic != MAGIC or type(magic) is not int:
        raise RefusalError("a pickle, but not of weights; expected a state dict from torch.save")
    protocol, at = read(at)
    machine, at = read(at)
    if type(protocol) is not int or protocol != _PROTOCOL or not isinstance(machine, dict):
        raise DamageError("an unknown version of the old format")
    form = LegacyForm(budget)
    content, at = read(at, persistent_load=form.storage, window=_LIKELY_CONTENT)
    keys, at = read(at)
    form.place(source, at, keys)
    return content
