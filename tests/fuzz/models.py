"""ONNX files: the reader that quantizes and builds engines, and ONNX Runtime, both with the spec inside."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import onnx

from afformer.errors import AfformerError
from afformer.onnx_file import read_onnx_file
from afformer.runtime.backends.onnxruntime import OnnxRuntimeBackend
from afformer.spec import METADATA_KEY
from tests.builders.tiny_onnx import variants, write_tiny_onnx
from tests.fuzz.json_changes import changed
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import Target


def _run(path: Path) -> None:
    _in_one_line(lambda: read_onnx_file(path))
    OnnxRuntimeBackend(path, threads=1).close()


def _in_one_line(read: Callable[[], object]) -> None:
    try:
        read()
    except AfformerError as error:
        if "\n" in str(error):
            raise


def _seeds() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return [write_tiny_onnx(Path(folder) / "a.onnx", spec).read_bytes() for spec in variants().values()]


def _inside(data: bytes, chance: random.Random) -> bytes:
    """Changes the spec in the metadata; of a file that cannot be read, anything."""
    try:
        model = onnx.load_from_string(data)
        entry = next(entry for entry in model.metadata_props if entry.key == METADATA_KEY)
        entry.value = changed(entry.value.encode(), chance).decode()
        return bytes(model.SerializeToString())
    except Exception:  # whatever the bytes are, they are no model
        return mutated(data, chance)


TARGET = Target(_run, _seeds, _inside, ("afformer.onnx_file", "afformer.spec"), ".onnx")
