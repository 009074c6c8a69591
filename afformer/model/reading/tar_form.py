"""The tar archive that `torch.save` wrote up to 0.1.10.

`storages`: their number, then for each a pickle (key, device, type), the number of elements as int64 and the elements;
then the views, as a pickle. `tensors`: their number, then for each a pickle (key, storage, type), the number of
dimensions, sizes, strides and the offset as int64. `pickle`: the content, which refers to both by key.
"""

from __future__ import annotations

import functools
import struct
import sys
from typing import Any

from afformer.model.reading.faults import Budget, DamageError
from afformer.model.reading.machine import no_persistent_ids, read_pickle
from afformer.model.reading.source import Source
from afformer.model.reading.storages import storage_element
from afformer.model.reading.tar_members import Member, read_members
from afformer.model.reading.tensors import Storage, StoredTensor, tensor_of

_MOST_DIMENSIONS = 16


class TarForm:
    """The storages and tensors of an archive by key."""

    def __init__(self, source: Source, budget: Budget) -> None:
        self._source = source
        self._budget = budget
        self._known: dict[str, Storage | StoredTensor] = {}

    def read_storages(self, member: Member) -> None:
        """Finds the storages.

        Raises:
            CheckpointError: They are damaged.
        """
        at, end = member.at, member.at + member.size
        count, at = self._pickle(at, end)
        for _ in range(_counted(count)):
            described, at = self._pickle(at, end)
            key, _, kind = _parts(described, 3)
            element = storage_element(kind)
            (elements,), at = self._integers(at, end, 1)
            nbytes = elements * element.itemsize
            if nbytes < 0 or at + nbytes > end:
                raise DamageError(f"a storage of {nbytes:,} bytes is cut")
            fetch = functools.partial(self._source.tensor, at, nbytes)
            self._known[_key(key)] = Storage(element, nbytes, fetch, swapped=sys.byteorder == "big")
            at += nbytes
        views, at = self._pickle(at, end)
        for view in views if isinstance(views, (list, tuple)) else ():
            key, root, offset, elements = _parts(view, 4)
            self._known[_key(key)] = self._storage(root).part(_counted(offset), _counted(elements))

    def read_tensors(self, member: Member) -> None:
        """Finds the tensors.

        Raises:
            CheckpointError: They are damaged.
        """
        at, end = member.at, member.at + member.size
        count, at = self._pickle(at, end)
        for _ in range(_counted(count)):
            described, at = self._pickle(at, end)
            key, storage, _ = _parts(described, 3)
            (dimensions,), at = self._integers(at, end, 1)
            dimensions &= 0xFFFFFFFF  # the upper half was never set
            if dimensions > _MOST_DIMENSIONS:
                raise DamageError(f"a tensor of {dimensions:,} dimensions")
            numbers, at = self._integers(at, end, 2 * dimensions + 1)
            shape, stride = numbers[:dimensions], numbers[dimensions:-1]
            self._known[_key(key)] = tensor_of(self._storage(storage), numbers[-1], shape, stride)

    def read_content(self, member: Member) -> Any:
        """The content.

        Raises:
            CheckpointError: It is damaged.
        """
        return self._pickle(member.at, member.at + member.size, self._known_object)[0]

    def _known_object(self, pid: Any) -> Any:
        if isinstance(pid, tuple) and pid:
            return pid[0]  # a class; behind it stands its source code
        found = self._known.get(_key(pid))
        if found is None:
            raise DamageError("its content refers to a tensor that is not there")
        return found

    def _storage(self, key: Any) -> Storage:
        found = self._known.get(_key(key))
        if not isinstance(found, Storage):
            raise DamageError("a tensor refers to a storage that is not there")
        return found

    def _pickle(self, at: int, end: int, persistent_load: Any = no_persistent_ids) -> tuple[Any, int]:
        return read_pickle(self._source, at, end, self._budget, persistent_load)

    def _integers(self, at: int, end: int, count: int) -> tuple[tuple[int, ...], int]:
        behind = at + 8 * count
        if behind > end:
            raise DamageError("the archive is cut")
        return struct.unpack(f"<{count}q", self._source.read(at, 8 * count)), behind


def read_tar(source: Source, budget: Budget) -> Any:
    """The content of an archive that `torch.save` wrote; its tensors are read when they are asked for.

    Raises:
        CheckpointError: It is damaged, or another archive.
    """
    members = read_members(source, {"storages", "tensors", "pickle"}, budget)
    form = TarForm(source, budget)
    form.read_storages(members["storages"])
    form.read_tensors(members["tensors"])
    return form.read_content(members["pickle"])


def _parts(found: Any, count: int) -> tuple[Any, ...]:
    if not isinstance(found, (tuple, list)) or len(found) != count:
        raise DamageError("an invalid description of a storage or tensor")
    return tuple(found)


def _counted(found: Any) -> int:
    if not isinstance(found, int) or not 0 <= found < 2**62:
        raise DamageError("an invalid number of storages or tensors")
    return found


def _key(found: Any) -> str:
    """Keys were addresses; as text, because numbers from a file can be made to collide."""
    if not isinstance(found, (int, str)) or len(str(found)) > 40:
        raise DamageError("a storage or tensor has an invalid key")
    return str(found)
