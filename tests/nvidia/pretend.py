"""A machine with an NVIDIA GPU, or one without NVIDIA's packages, whatever this one is."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.machinery
import sys
import types
from collections.abc import Iterator
from typing import Any

import afformer.tensorrt
from tests.nvidia.pretend_cuda import PretendCuda
from tests.nvidia.pretend_tensorrt import Quirks, pretend_tensorrt

_OURS = ("backend", "cuda")
"""Modules of `afformer.tensorrt` that have looked for NVIDIA's packages when they were imported."""
_THEIRS = (
    *("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings", "tensorrt_rtx_libs"),
    *("cuda", "cuda.bindings", "cuda.bindings.runtime"),
)


@dataclasses.dataclass
class Machine:
    """The pretended machine."""

    cuda: PretendCuda
    tensorrt: Any


@contextlib.contextmanager
def machine_with_gpu(
    quirks: Quirks | None = None, version: str = "10.3.0", cuda: PretendCuda | None = None
) -> Iterator[Machine]:
    """TensorRT, cuda-bindings and a GPU."""
    cuda = cuda or PretendCuda()
    tensorrt = pretend_tensorrt(cuda, quirks, version)
    packages: dict[str, Any] = {name: types.ModuleType(name) for name in ("cuda", "cuda.bindings")}
    packages |= {"tensorrt": tensorrt, "cuda.bindings.runtime": cuda.module()}
    packages["cuda.bindings"].runtime = packages["cuda.bindings.runtime"]
    for name, module in packages.items():
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    with _modules(packages):
        yield Machine(cuda, tensorrt)


@contextlib.contextmanager
def machine_without(*names: str) -> Iterator[None]:
    """Nothing of NVIDIA, or not those packages."""
    with _modules(dict.fromkeys(names or _THEIRS)):
        yield


@contextlib.contextmanager
def _modules(replaced: dict[str, Any]) -> Iterator[None]:
    ours = {f"afformer.tensorrt.{name}" for name in _OURS}
    before = {name: sys.modules.get(name) for name in {*replaced, *ours}}
    known = {name: vars(afformer.tensorrt).pop(name) for name in _OURS if name in vars(afformer.tensorrt)}
    for name in ours:
        sys.modules.pop(name, None)
    sys.modules.update(replaced)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
        for name in _OURS:
            vars(afformer.tensorrt).pop(name, None)
        vars(afformer.tensorrt).update(known)
