"""AFFormer semantic segmentation from a PyTorch checkpoint to low-power devices."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from afformer.errors import AfformerError as AfformerError
    from afformer.pipeline import compare_models as compare_models
    from afformer.pipeline import evaluate_model as evaluate_model
    from afformer.pipeline import export_checkpoint as export_checkpoint
    from afformer.pipeline import segment_pictures as segment_pictures
    from afformer.runtime.segmenter import Segmenter as Segmenter
    from afformer.spec import ModelSpec as ModelSpec

_HOMES = {
    "AfformerError": "afformer.errors",
    "ModelSpec": "afformer.spec",
    "Segmenter": "afformer.runtime.segmenter",
    "compare_models": "afformer.pipeline",
    "evaluate_model": "afformer.pipeline",
    "export_checkpoint": "afformer.pipeline",
    "segment_pictures": "afformer.pipeline",
}

__all__ = [
    "AfformerError",
    "ModelSpec",
    "Segmenter",
    "compare_models",
    "evaluate_model",
    "export_checkpoint",
    "segment_pictures",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
