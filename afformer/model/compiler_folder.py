"""The folder that PyTorch's compiler makes as soon as it is loaded, although nothing here compiles."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import torch

from afformer.environment import set_meanwhile


def without_compiler_folder() -> AbstractContextManager[None]:
    """Work in the body leaves no `torchinductor_USER` in the temporary folder, and reads nothing planted there.

    Exporting and optimisers load PyTorch's compiler (2.13), which makes its folder and looks into it for settings.
    Meanwhile it uses PyTorch's own folder, which exists; nothing is compiled, so nothing is written there.
    A variable that the user has set is left alone.
    """
    return set_meanwhile("TORCHINDUCTOR_CACHE_DIR", str(Path(torch.__file__).parent))
