"""Models of every kind, small and made quickly, for comparing runtimes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from afformer import assets
from afformer.runtime import Segmenter
from afformer.spec import ColorOrder, Precision
from tests.builders.tiny_onnx import variants, write_tiny_onnx

TRAINED = ("float32", "int8", "blue, green, red")
"""What `write_trained` makes of the bundled checkpoint."""


def write_tiny(folder: Path) -> None:
    """The tiny models, each under its name."""
    for name, spec in variants().items():
        write_tiny_onnx(folder / f"{name}.onnx", spec)


def write_trained(folder: Path) -> None:
    """The bundled network at 96x128, each under its name."""
    pytest.importorskip("torch")
    import onnx

    from afformer.export.onnx_graph import build_graph
    from afformer.model.checkpoint import load_checkpoint
    from afformer.quantize import lowering
    from afformer.quantize.placement import Target
    from tests.builders.graphs import observed

    with Segmenter(assets.MODEL) as bundled:
        spec = dataclasses.replace(bundled.spec, input_hw=(96, 128), precision=Precision.FP32)
    exported = build_graph(load_checkpoint(assets.CHECKPOINT).build(), spec)
    prepared = lowering.canonicalize(exported)
    integer = lowering.lower(prepared, observed(prepared), Target.X86).model
    other = build_graph(
        load_checkpoint(assets.CHECKPOINT).build(), dataclasses.replace(spec, color_order=ColorOrder.BGR)
    )
    for name, model in zip(TRAINED, (exported, integer, other), strict=True):
        onnx.save(model, folder / f"{name}.onnx")
