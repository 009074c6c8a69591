"""The folder that PyTorch's compiler makes as soon as it is loaded, although nothing here compiles."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import torch

_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


@contextlib.contextmanager
def without_compiler_folder() -> Iterator[None]:
    """Work in the body leaves no `torchinductor_USER` in the temporary folder, and reads nothing planted there.

    Exporting and optimisers load PyTorch's compiler (2.13), which makes its folder and looks into it for settings.
    Meanwhile it uses PyTorch's own folder, which exists; nothing is compiled, so nothing is written there.
    A variable that the user has set is left alone.
    """
    if _VARIABLE in os.environ:
        yield
        return
    os.environ[_VARIABLE] = str(Path(torch.__file__).parent)
    try:
        yield
    finally:
        del os.environ[_VARIABLE]
