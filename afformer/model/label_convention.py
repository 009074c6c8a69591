"""What a checkpoint says about the labels that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afformer.model.config_text import Config, entries, stated

_TEXTS = ("config", "cfg")
_KEYS = ("reduce_zero_label", "do_reduce_labels", "reduce_labels")
"""As mmseg and transformers call it."""


def reduces_zero_label(content: Any, config: Config) -> bool | None:
    """Whether labels counted from 1, by the configuration of the training and mmengine's `dataset_meta`.

    Returns:
        What they say; None if they say nothing, or both for different data.
    """
    meta = content.get("meta") if isinstance(content, Mapping) else None
    meta = meta if isinstance(meta, Mapping) else {}
    inner = meta.get("dataset_meta")
    if isinstance(inner, Mapping) and isinstance(inner.get(_KEYS[0]), bool):
        return bool(inner[_KEYS[0]])
    said = [entry.values.get(key) for place in config.found.values() for entry in entries(place) for key in _KEYS]
    for text in (meta.get(name) for name in _TEXTS):
        said += stated(text, _KEYS[0]) if isinstance(text, str) else []
    found = {value for value in said if isinstance(value, bool)}
    return found.pop() if len(found) == 1 else None
