"""AFFormer semantic segmentation from a PyTorch checkpoint to low-power devices."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from afformer.errors import AfformerError as AfformerError
    from afformer.pipeline.building import build_engine as build_engine
    from afformer.pipeline.exporting import export_checkpoint as export_checkpoint
    from afformer.pipeline.measuring import compare_models as compare_models
    from afformer.pipeline.measuring import evaluate_model as evaluate_model
    from afformer.pipeline.quantizing import quantize_model as quantize_model
    from afformer.pipeline.segmenting import segment_pictures as segment_pictures
    from afformer.runtime.segmenter import Segmenter as Segmenter
    from afformer.spec import ModelSpec as ModelSpec

_HOMES = {
    "AfformerError": "afformer.errors",
    "ModelSpec": "afformer.spec",
    "Segmenter": "afformer.runtime.segmenter",
    "build_engine": "afformer.pipeline.building",
    "compare_models": "afformer.pipeline.measuring",
    "evaluate_model": "afformer.pipeline.measuring",
    "export_checkpoint": "afformer.pipeline.exporting",
    "quantize_model": "afformer.pipeline.quantizing",
    "segment_pictures": "afformer.pipeline.segmenting",
}

__all__ = [
    "AfformerError",
    "ModelSpec",
    "Segmenter",
    "build_engine",
    "compare_models",
    "evaluate_model",
    "export_checkpoint",
    "quantize_model",
    "segment_pictures",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
