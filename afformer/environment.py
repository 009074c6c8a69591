"""Environment variables that libraries look at once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def set_meanwhile(name: str, value: str) -> Iterator[None]:
    """Sets a variable while the body runs; one that the user has set is left alone."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
