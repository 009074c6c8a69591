"""The persistent ids by which a pickle refers to the storages of its file."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from afformer.model.reading.faults import DamageError
from afformer.model.reading.objects import Global
from afformer.model.reading.tensors import STORAGES, Element, Storage


@dataclasses.dataclass(frozen=True)
class StorageId:
    """What a pickle says of a storage.

    Attributes:
        element: The type of its numbers.
        key: Its name in the file.
        nbytes: Bytes.
    """

    element: Element
    key: str
    nbytes: int


class Storages:
    """The storages that a pickle refers to, one per key.

    Attributes:
        swapped: Whether the bytes of their numbers are in the other order than this machine's.
    """

    def __init__(self, byte_order: str = "little") -> None:
        self.swapped = byte_order != sys.byteorder
        self._known: dict[str, Storage] = {}

    def known(self, wanted: StorageId) -> Storage:
        """The storage of that description; it has no bytes until its `fetch` is set.

        Raises:
            DamageError: The pickle described it differently before.
        """
        found = self._known.get(wanted.key)
        if found is None:
            found = self._known[wanted.key] = Storage(wanted.element, wanted.nbytes, None, self.swapped)
        elif found.element != wanted.element or found.nbytes != wanted.nbytes:
            raise DamageError("two descriptions of a storage contradict each other")
        return found

    def get(self, key: Any) -> Storage | None:
        """The storage of that key, if the pickle has named it."""
        return self._known.get(key) if isinstance(key, str) else None


def storage_id(pid: Any) -> StorageId:
    """Reads `('storage', type, key, device, elements, ...)`; the device is where the tensors were, and is ignored.

    Raises:
        DamageError: It is something else, or of a type that is not known.
    """
    if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
        raise DamageError("a persistent id that names no storage")
    element, key, count = storage_element(pid[1]), pid[2], pid[4]
    if not isinstance(key, str) or not isinstance(count, int) or not 0 <= count < 2**62:
        raise DamageError("a storage without a key or a size")
    return StorageId(element, key, count * element.itemsize)


def storage_element(kind: Any) -> Element:
    """The numbers of a storage class such as `torch.cuda.HalfStorage`.

    Raises:
        DamageError: It is not a known storage class.
    """
    element = STORAGES.get(kind.name.rpartition(".")[2]) if isinstance(kind, Global) else None
    if element is None or not kind.name.startswith("torch."):
        raise DamageError("a storage of an unknown type")
    return element
