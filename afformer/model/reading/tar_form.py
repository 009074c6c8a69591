"""The tar archive that `torch.save` wrote up to 0.1.10.

`storages`: their number, then for each a pickle (key, device, type), the number of elements as int64 and the elements;
then the views, as a pickle. `tensors`: their number, then for each a pickle (key, storage, type), the number of
dimensions, sizes, strides and the offset as int64. `pickle`: the content, which refers to both by key.
"""

from __future__ import annotations

import functools
import struct
import sys
from collections.abc import Iterator
from typing import Any

from afformer.model.reading.faults import Budget, DamageError
from afformer.model.reading.machine import PersistentLoad, no_persistent_ids, read_pickle
from afformer.model.reading.source import Source
from afformer.model.reading.storages import storage_element
from afformer.model.reading.tar_members import Member, read_members
from afformer.model.reading.tensors import Storage, StoredTensor, tensor_of

_MOST_DIMENSIONS = 16


class _Cursor:
    """A place in a member, which moves on as it is read."""

    def __init__(self, source: Source, member: Member, budget: Budget) -> None:
        self._source = source
        self._budget = budget
        self._end = member.at + member.size
        self.at = member.at

    def pickle(self, persistent_load: PersistentLoad = no_persistent_ids) -> Any:
        found, self.at = read_pickle(self._source, self.at, self._end, self._budget, persistent_load)
        return found

    def descriptions(self) -> Iterator[tuple[Any, ...]]:
        """A number, and as many pickles of three parts; what stands behind each is for the caller to read."""
        for _ in range(_counted(self.pickle())):
            yield _parts(self.pickle(), 3)

    def integers(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}q", self._source.read(self.pass_over(8 * count), 8 * count))

    def pass_over(self, count: int) -> int:
        """Where the next `count` bytes begin."""
        if count < 0 or self.at + count > self._end:
            raise DamageError(f"{count:,} bytes of the archive are missing")
        begin = self.at
        self.at += count
        return begin


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
        cursor = _Cursor(self._source, member, self._budget)
        for key, _, kind in cursor.descriptions():
            element = storage_element(kind)
            nbytes = cursor.integers(1)[0] * element.itemsize
            fetch = functools.partial(self._source.tensor, cursor.pass_over(nbytes), nbytes)
            self._known[_key(key)] = Storage(element, nbytes, fetch, swapped=sys.byteorder == "big")
        views = cursor.pickle()
        for view in views if isinstance(views, (list, tuple)) else ():
            key, root, offset, elements = _parts(view, 4)
            self._known[_key(key)] = self._storage(root).part(_counted(offset), _counted(elements))

    def read_tensors(self, member: Member) -> None:
        """Finds the tensors.

        Raises:
            CheckpointError: They are damaged.
        """
        cursor = _Cursor(self._source, member, self._budget)
        for key, storage, _ in cursor.descriptions():
            dimensions = cursor.integers(1)[0] & 0xFFFFFFFF  # the upper half was never set
            if dimensions > _MOST_DIMENSIONS:
                raise DamageError(f"a tensor of {dimensions:,} dimensions")
            *sizes, offset = cursor.integers(2 * dimensions + 1)
            shape, stride = tuple(sizes[:dimensions]), tuple(sizes[dimensions:])
            self._known[_key(key)] = tensor_of(self._storage(storage), offset, shape, stride)

    def read_content(self, member: Member) -> Any:
        """The content.

        Raises:
            CheckpointError: It is damaged.
        """
        return _Cursor(self._source, member, self._budget).pickle(self._known_object)

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
