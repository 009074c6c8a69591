"""Packages that only some tasks need, and the command that installs them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from afformer.errors import AfformerError

EXPORT_PACKAGES = ("torch", "onnx", "onnxscript", "onnxsim", "safetensors")
"""What the extra `export` installs, by the names that are imported."""


@contextlib.contextmanager
def requires_extra(extra: str) -> Iterator[None]:
    """Turns a missing package into an error with the command that installs it.

    Raises:
        AfformerError: The body imported a module that is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise AfformerError(
            f"this needs the Python package '{error.name}', which is not installed; "
            f'run `pip install "afformer[{extra}]"`'
        ) from error
