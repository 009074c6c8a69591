"""The spec as text, as it stands in a model file; those that are read must come back from what they write."""

from __future__ import annotations

from pathlib import Path

from afformer.spec import ModelSpec
from tests.builders.tiny_onnx import variants
from tests.fuzz.json_changes import changed
from tests.fuzz.targets import Target


def _run(path: Path) -> None:
    spec = ModelSpec.from_json(path.read_bytes().decode(errors="surrogateescape"), str(path))
    assert ModelSpec.from_json(spec.to_json()) == spec
    spec.to_json().encode()


def _seeds() -> list[bytes]:
    good = [spec.to_json().encode() for spec in variants().values()]
    return [*good, b"[" * 100_000, good[0].replace(b'"night"', rb'"\ud800"'), b'{"spec_version": Infinity}']


TARGET = Target(_run, _seeds, changed, ("afformer.spec",), ".json")
