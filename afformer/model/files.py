"""Reads a checkpoint file into plain data and tensors, without ever running code that the file names.

A `.pth` file is a pickle, and a pickle can name any function to be called while it is read. Ours resolves the few
names that tensors need and puts an inert placeholder in the place of every other one: nothing else is looked up or
called, and files with objects beyond tensors (mmengine's message hub, numpy scalars) still give their tensors. A file
made for it can still waste time or memory; load files from strangers in a process that may be killed.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from afformer.errors import CheckpointError

_REBUILDERS = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")
_CONTAINERS = {("collections", "OrderedDict"), ("collections", "defaultdict"), ("torch", "Size"), ("torch", "device")}


class Placeholder:
    """Stands for an object of a class that was not looked up; takes whatever its pickle does to it."""

    dtype = torch.uint8
    """What PyTorch asks of a storage of a type that it does not know: bytes."""

    def __new__(cls, *_args: object, **_kwargs: object) -> Placeholder:  # noqa: D102
        return super().__new__(cls)

    def __init__(self, *_args: object, **_kwargs: object) -> None: ...

    def __call__(self, *_args: object, **_kwargs: object) -> Placeholder:  # noqa: D102
        return self

    def __setstate__(self, _state: object) -> None: ...

    def __setitem__(self, _key: object, _value: object) -> None: ...

    def append(self, _item: object) -> None:
        """What a list's pickle calls."""

    def extend(self, _items: object) -> None:
        """What a list's pickle calls."""


class Rebuilder:
    """Calls one of PyTorch's functions that make tensors, and keeps the pickle's hands off the function itself."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *args: object) -> object:  # noqa: D102
        return getattr(torch._utils, self._name)(*args)

    def __setstate__(self, _state: object) -> None:
        raise pickle.UnpicklingError(f"the file tries to change {self._name}")


class InertUnpickler(pickle.Unpickler):
    """Looks up plain containers and what makes tensors, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: D102 - see the class
        if module == "torch._utils" and name in _REBUILDERS:
            return Rebuilder(name)
        if (module, name) in _CONTAINERS:
            return super().find_class(module, name)
        return type(name, (Placeholder,), {})


def _inert_load(file: Any, **kwargs: Any) -> Any:
    return InertUnpickler(file, **kwargs).load()


_INERT_PICKLE = SimpleNamespace(__name__="inert_pickle", Unpickler=InertUnpickler, load=_inert_load)


def read_checkpoint_file(path: Path) -> tuple[Any, dict[str, str]]:
    """Reads a `.safetensors` file or anything that `torch.save` wrote.

    Returns:
        The file's object (for safetensors: its tensors by name), and the metadata of a safetensors file.

    Raises:
        CheckpointError: The file is missing, damaged, or not a checkpoint.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint file; check the path")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path}: the file is empty (0 bytes), not a checkpoint; download or copy it again")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        _refuse_unusual_archive(path)
        # weights_only=True would refuse a file for any foreign object in it; the inert pickle runs none of them.
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=_INERT_PICKLE), {}
    except CheckpointError:
        raise
    except Exception as error:  # a damaged archive or pickle can fail in any way while it is decoded
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: cannot be read as a PyTorch checkpoint, it is truncated, damaged or another kind of file "
            f"({reason}); expected what torch.save wrote, or a .safetensors file"
        ) from error


def _read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: damaged or not a safetensors file ({error}); download or copy it again"
        ) from error


def _refuse_unusual_archive(path: Path) -> None:
    """`torch.save` stores without compression: a file that grows on reading is not its work but a bomb."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise CheckpointError(
            f"{path}: a compressed archive, which torch.save never writes; refused, get the original file"
        )
    if any(entry.filename.endswith("constants.pkl") for entry in entries):
        raise CheckpointError(f"{path}: a TorchScript program, not a checkpoint; expected a state dict from torch.save")
