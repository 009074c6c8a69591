"""Checkpoint files by hand: pickles from opcodes, archives from members, and the tar form of the first PyTorch."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

ZEROS = {"0": bytes(64)}
"""A storage called 0, of 16 float32."""


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def archive(
    pickled: bytes, records: Mapping[str, bytes] = ZEROS, method: int = zipfile.ZIP_STORED, byte_order: str = "little"
) -> bytes:
    """The archive that `torch.save` writes around a pickle (which starts with its protocol here) and its storages."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("archive/data.pkl", b"\x80\x02" + pickled)
        file.writestr("archive/byteorder", byte_order)
        file.writestr("archive/version", "3\n")
        for key, record in records.items():
            file.writestr(f"archive/data/{key}", record)
    return buffer.getvalue()


def text(value: str) -> bytes:
    """Pushes a text."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    """Pushes a number of up to 16 bytes."""
    return b"\x8a\x10" + value.to_bytes(16, "little", signed=True)


def numbers(values: tuple[int, ...]) -> bytes:
    """Pushes a tuple of numbers."""
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(kind: str = "torch\nFloatStorage", key: str = "0", elements: int = 16, device: str = "cpu") -> bytes:
    """Pushes a storage."""
    return b"(" + text("storage") + f"c{kind}\n".encode() + text(key) + text(device) + number(elements) + b"tQ"


def tensor(
    stored: bytes | None = None, offset: int = 0, size: tuple[int, ...] = (16,), stride: tuple[int, ...] = (1,)
) -> bytes:
    """Pushes a tensor, of 16 zeros unless told otherwise."""
    arguments = (stored or storage()) + number(offset) + numbers(size) + numbers(stride) + b"\x89" + ORDERED + b")R"
    return REBUILD + b"(" + arguments + b"tR"


REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
ORDERED = b"ccollections\nOrderedDict\n"
TENSOR = tensor()


def one(pushed: bytes) -> bytes:
    """A pickle of `{"x": what was pushed}`."""
    return b"}" + text("x") + pushed + b"s."


def legacy(pickled: bytes, keys: list[str], tail: bytes) -> bytes:
    """The stream that `torch.save` writes around a pickle: what comes before it, the storages' keys and their bytes."""
    before = (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True})
    return b"".join(pickle.dumps(part, 2) for part in before) + b"\x80\x02" + pickled + pickle.dumps(keys, 2) + tail


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as file:
        for member, content in members:
            file.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def member(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    """A member of a tar archive, with a time that asks for additional attributes, as Python writes it."""
    found = tarfile.TarInfo(name)
    found.size, found.type, found.linkname, found.mtime = len(content), kind, link, 1483228800.5
    return found, content


class _OldPickler(pickle._Pickler):  # the one in Python, which asks for the id of every object
    def __init__(self, file: io.BytesIO, keys: dict[int, int]) -> None:
        super().__init__(file, 2)
        self._keys = keys

    def persistent_id(self, value: Any) -> str | None:
        return str(self._keys[id(value)]) if id(value) in self._keys else None


def old_tar(state: dict[str, Tensor]) -> bytes:
    """What `torch.save` of PyTorch 0.1.10 writes for float32 tensors; tensors that share a storage become views."""
    storages: dict[int, Tensor] = {}
    for value in state.values():
        storages.setdefault(
            value.untyped_storage().data_ptr(), torch.tensor([], dtype=value.dtype).set_(value.untyped_storage())
        )
    stored = pickle.dumps(len(storages), 2)
    for key, whole in storages.items():
        stored += pickle.dumps((key, "cpu", torch.FloatStorage), 2)
        stored += struct.pack("<q", whole.numel()) + whole.numpy().tobytes()
    stored += pickle.dumps([], 2)
    tensors = pickle.dumps(len(state), 2)
    keys = {id(value): 7_000_000 + index for index, value in enumerate(state.values())}
    for value in state.values():
        place = (*value.shape, *value.stride(), value.storage_offset())
        tensors += pickle.dumps((keys[id(value)], value.untyped_storage().data_ptr(), torch.FloatTensor), 2)
        tensors += struct.pack("<i", value.dim()) + b"\0\0\0\0" + struct.pack(f"<{len(place)}q", *place)
    content = io.BytesIO()
    _OldPickler(content, keys).dump(state)
    parts = {"sys_info": pickle.dumps({}, 2), "pickle": content.getvalue(), "tensors": tensors, "storages": stored}
    return tar(*(member(name, part) for name, part in parts.items()))


def old_tar_with_a_view(offset: int, elements: int) -> bytes:
    """A tar archive whose only tensor `x` has a storage that is a part of another, of the numbers 0 to 15."""
    whole = struct.pack("<q", 16) + np.arange(16, dtype="<f4").tobytes()
    views = pickle.dumps([(6, 5, offset, elements)], 2)
    stored = pickle.dumps(1, 2) + pickle.dumps((5, "cpu", torch.FloatStorage), 2) + whole + views
    tensors = pickle.dumps(1, 2) + pickle.dumps((7, 6, torch.FloatTensor), 2) + struct.pack("<4q", 1, elements, 1, 0)
    content = b"\x80\x02" + one(text("7") + b"Q")
    return tar(member("storages", stored), member("tensors", tensors), member("pickle", content))


def npz() -> bytes:
    """A NumPy archive."""
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    return buffer.getvalue()


def safetensors(header: bytes, numbers: bytes = b"") -> bytes:
    """A safetensors file with any header."""
    return len(header).to_bytes(8, "little") + header + numbers
