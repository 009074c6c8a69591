"""AFFormer semantic segmentation from a PyTorch checkpoint to low-power devices."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from afformer.version import __version__ as __version__

if TYPE_CHECKING:
    from afformer.errors import AfformerError as AfformerError
    from afformer.export.exporter import export_checkpoint as export_checkpoint
    from afformer.measure.comparison import compare_models as compare_models
    from afformer.measure.evaluation import evaluate_model as evaluate_model
    from afformer.quantize.quantize_model import quantize_model as quantize_model
    from afformer.runtime.segmenter import Segmenter as Segmenter
    from afformer.spec import ModelSpec as ModelSpec
    from afformer.streams.segment import segment_pictures as segment_pictures
    from afformer.tensorrt.build_engine import build_engine as build_engine

_HOMES = {
    "AfformerError": "afformer.errors",
    "ModelSpec": "afformer.spec",
    "Segmenter": "afformer.runtime.segmenter",
    "build_engine": "afformer.tensorrt.build_engine",
    "compare_models": "afformer.measure.comparison",
    "evaluate_model": "afformer.measure.evaluation",
    "export_checkpoint": "afformer.export.exporter",
    "quantize_model": "afformer.quantize.quantize_model",
    "segment_pictures": "afformer.streams.segment",
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
