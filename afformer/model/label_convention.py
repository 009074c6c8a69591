"""What a checkpoint says about the labels that it was trained on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_STATED = re.compile(r"""reduce_zero_label['"]?\s*[=:]\s*(True|False)\b""")
_TEXTS = ("config", "cfg")


def reduces_zero_label(content: Any) -> bool | None:
    """Whether labels counted from 1, by the training configuration in mmcv's or mmengine's `meta`.

    Returns:
        What the configuration says; None if it says nothing, or says both for different data.
    """
    meta = content.get("meta") if isinstance(content, Mapping) else None
    if not isinstance(meta, Mapping):
        return None
    texts = [meta[name] for name in _TEXTS if isinstance(meta.get(name), str)]
    inner = meta.get("dataset_meta")
    stated = {found == "True" for text in texts for found in _STATED.findall(text)}
    if isinstance(inner, Mapping) and isinstance(inner.get("reduce_zero_label"), bool):
        stated = {inner["reduce_zero_label"]}
    return stated.pop() if len(stated) == 1 else None
