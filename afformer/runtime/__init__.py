"""From model file and picture to class map. Backends are imported when they are opened; torch and onnx never are."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from afformer.runtime.backends.base import Backend as Backend
    from afformer.runtime.backends.registry import backend_names as backend_names
    from afformer.runtime.backends.registry import open_backend as open_backend
    from afformer.runtime.choices import Device as Device
    from afformer.runtime.choices import Fit as Fit
    from afformer.runtime.postprocess import classmap_from_logits as classmap_from_logits
    from afformer.runtime.segmenter import Segmenter as Segmenter
    from afformer.spec import ColorOrder as ColorOrder

_HOMES = {
    "Backend": "backends.base",
    "ColorOrder": "preprocess",
    "Device": "choices",
    "Fit": "choices",
    "Segmenter": "segmenter",
    "backend_names": "backends.registry",
    "classmap_from_logits": "postprocess",
    "open_backend": "backends.registry",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
