"""ONNX Runtime's telemetry, kept off while it is imported."""

from __future__ import annotations

from contextlib import AbstractContextManager

from afformer.environment import set_meanwhile


def without_telemetry() -> AbstractContextManager[None]:
    """Imports of onnxruntime in the body write no `.ses` into the temporary folder, nor through a link planted there.

    ONNX Runtime (1.31) looks at the variable while it is loaded, and not afterwards. One that the user has set is left
    alone.
    """
    return set_meanwhile("ORT_DISABLE_TELEMETRY", "1")
