"""The archive that `torch.save` writes since PyTorch 1.6: `NAME/data.pkl` and a file per storage, `NAME/data/KEY`."""

from __future__ import annotations

import functools
from typing import Any

from torch import Tensor

from afformer.model.reading.faults import Budget, DamageError, RefusalError
from afformer.model.reading.machine import Machine
from afformer.model.reading.source import Source
from afformer.model.reading.storages import Storages, storage_id
from afformer.model.reading.tensors import Storage
from afformer.model.reading.zip_directory import Member, read_directory

_PICKLE = "/data.pkl"


class ZipForm:
    """The storages of an archive.

    Attributes:
        pickle: The member that describes the content.
    """

    def __init__(self, source: Source, budget: Budget) -> None:
        self._source = source
        self._members = read_directory(source, budget)
        self.pickle = self._find_pickle()
        self._folder = self.pickle.name.removesuffix(_PICKLE)
        self._storages = Storages(self._byte_order())

    def storage(self, pid: Any) -> Storage:
        """`('storage', type, key, device, elements)` -> the storage.

        Raises:
            DamageError: It is not in the archive, or shorter than it says.
        """
        wanted = storage_id(pid)
        found = self._storages.known(wanted)
        if found.fetch is None:
            member = self._members.get(f"{self._folder}/data/{wanted.key}")
            if member is None or member.size < wanted.nbytes:
                there = "no bytes" if member is None else f"{member.size:,} bytes"
                raise DamageError(f"a storage of {wanted.nbytes:,} bytes for which there are {there}")
            found.fetch = functools.partial(self._fetch, member, wanted.nbytes)
        return found

    def _fetch(self, member: Member, nbytes: int) -> Tensor:
        return self._source.tensor(member.at(self._source), nbytes)

    def _find_pickle(self) -> Member:
        programs = ("/constants.pkl", "/archive_format", "/model.json")
        if any(name.endswith(programs) or "/code/" in name for name in self._members):
            raise RefusalError(
                "a TorchScript or exported program, not a checkpoint; expected a state dict from torch.save"
            )
        found = [name for name in self._members if name.endswith(_PICKLE) and name.count("/") == 1]
        if len(found) != 1:
            raise RefusalError(f"{self._what_else()}; expected a state dict from torch.save")
        if not all(member.stored for member in self._members.values()):
            raise RefusalError("a compressed archive, which torch.save never writes; refused, get the original file")
        return self._members[found[0]]

    def _what_else(self) -> str:
        if all(name.endswith(".npy") for name in self._members):
            return "a NumPy .npz archive, not a checkpoint"
        return "a zip archive, but not of torch.save: it does not hold one data.pkl"

    def _byte_order(self) -> str:
        member = self._members.get(f"{self._folder}/byteorder")
        if member is None:  # before PyTorch 2.1
            return "little"
        order = self._source.read(member.at(self._source), min(member.size, 8)).decode("ascii", "replace")
        if order not in ("little", "big"):
            raise DamageError("the archive's byte order is unknown")
        return order


def read_zip(source: Source, budget: Budget) -> Any:
    """The content of an archive that `torch.save` wrote; its tensors are read when they are asked for.

    Raises:
        CheckpointError: It is damaged, compressed, or another archive.
    """
    form = ZipForm(source, budget)
    data = source.read(form.pickle.at(source), form.pickle.size)
    return Machine(data, budget, form.storage).run()
