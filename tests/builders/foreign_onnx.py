"""ONNX models as others export them: no spec, names of their own, logits at any stride or class ids, open lengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from afformer.spec import ModelSpec
from tests.builders.tiny_onnx import SPEC, write_tiny_onnx

FORMS = {
    "logits at an eighth": "float[1, 4, 8, 12] scores",
    "logits at full size": "float[1, 4, 64, 96] scores",
    "ids of 64 bits": "int64[1, 1, 64, 96] ids",
    "ids without a channel": "int32[1, 64, 96] ids",
    "open lengths": "float[n, 4, h, w] scores",
    "open lengths, ids": "int64[n, 1, h, w] ids",
}


def write_foreign_onnx(path: Path, form: str) -> Path:
    """Writes a model that sees the same classes as `SPEC`'s, whose output is one of `FORMS`."""
    onnx = pytest.importorskip("onnx")
    output = FORMS[form]
    source = "float[n, 3, h, w] picture" if form.startswith("open") else "float[1, 3, 64, 96] picture"
    own = onnx.load(write_tiny_onnx(path))
    model = onnx.parser.parse_model(
        f"""<ir_version: 9, opset_import: ["" : 18]> other ({source}) => ({output}) {{
            pooled = AveragePool <kernel_shape = [8, 8], strides = [8, 8]> (picture)
            image = Conv (pooled, weight, bias)
            {_tail(output)}
        }}"""
    )
    model.graph.initializer.extend(weight for weight in own.graph.initializer if weight.name in ("weight", "bias"))
    sizes = np.array((1, 1, 8, 8), np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(sizes, "scales"))
    onnx.save(model, path)
    return path


def classes_of(spec: ModelSpec = SPEC) -> dict[str, object]:
    """The least that a spec file holds."""
    return {"input_hw": list(spec.input_hw), "classes": list(spec.classes)}


def _tail(output: str) -> str:
    if "12] scores" in output or "h, w] scores" in output:
        return "scores = Identity (image)"
    full = 'full = Resize <mode = "linear"> (image, , scales)'
    if "scores" in output:
        return f"{full}\n scores = Identity (full)"
    keep, to = (0, 6) if "int32" in output else (1, 7)
    return f"{full}\n best = ArgMax <axis = 1, keepdims = {keep}> (full)\n ids = Cast <to = {to}> (best)"
