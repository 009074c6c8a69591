"""What a checkpoint says about the labels that it was trained on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from afformer.model.config_text import Config, entries

_STATED = re.compile(r"""reduce_zero_label['"]?\s*[=:]\s*(True|False)\b""")
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
    if isinstance(inner, Mapping) and isinstance(inner.get("reduce_zero_label"), bool):
        return bool(inner["reduce_zero_label"])
    texts = [meta[name] for name in _TEXTS if isinstance(meta.get(name), str)]
    stated = {found == "True" for text in texts for found in _STATED.findall(text)}
    for place in config.found.values():
        for entry in entries(place):
            stated |= {entry.values[key] for key in _KEYS if isinstance(entry.values.get(key), bool)}
    return stated.pop() if len(stated) == 1 else None
