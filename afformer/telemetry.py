"""ONNX Runtime's telemetry, kept off while it is imported."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_VARIABLE = "ORT_DISABLE_TELEMETRY"


@contextlib.contextmanager
def without_telemetry() -> Iterator[None]:
    """Imports of onnxruntime in the body write no `.ses` into the temporary folder, nor through a link planted there.

    ONNX Runtime (1.31) looks at the variable while it is loaded, and not afterwards. One that the user has set is left
    alone.
    """
    if _VARIABLE in os.environ:
        yield
        return
    os.environ[_VARIABLE] = "1"
    try:
        yield
    finally:
        del os.environ[_VARIABLE]
