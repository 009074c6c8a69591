"""Class names and colours that a checkpoint file carries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from afformer.errors import CheckpointError
from afformer.spec import RGB

Labels = tuple[tuple[str, ...] | None, tuple[RGB, ...] | None]
"""Class names and palette; None for what is missing or does not fit."""


def labels_in(content: Any, metadata: dict[str, str], count: int, path: Path) -> Labels:
    """Reads our own metadata, mmcv's `meta` or mmengine's `dataset_meta`.

    Files of other tools may contain anything; what is not a list of `count` names or of `count` RGB colours (0..255)
    counts as missing.

    Raises:
        CheckpointError: The file has our own format, but its metadata cannot be read.
    """
    meta = _own(metadata, path) or (content.get("meta") if isinstance(content, Mapping) else None)
    if isinstance(meta, Mapping):
        meta = meta.get("dataset_meta", meta)
    if not isinstance(meta, Mapping):
        return None, None
    lowered = {str(key).lower(): value for key, value in meta.items()}
    return _names(lowered.get("classes"), count), _palette(lowered.get("palette"), count)


def _own(metadata: dict[str, str], path: Path) -> dict[str, Any] | None:
    try:
        return {key: json.loads(metadata[key]) for key in ("classes", "palette") if key in metadata} or None
    except ValueError as error:
        raise CheckpointError(
            f"{path}: its metadata 'classes' or 'palette' is not JSON ({error}); save it again"
        ) from error


def _names(names: Any, count: int) -> tuple[str, ...] | None:
    fits = isinstance(names, (list, tuple)) and len(names) == count and all(isinstance(name, str) for name in names)
    return tuple(names) if fits else None


def _palette(colours: Any, count: int) -> tuple[RGB, ...] | None:
    fits = isinstance(colours, (list, tuple)) and len(colours) == count and all(_is_colour(c) for c in colours)
    return tuple((int(r), int(g), int(b)) for r, g, b in colours) if fits else None


def _is_colour(colour: Any) -> bool:
    return (
        isinstance(colour, (list, tuple))
        and len(colour) == 3
        and all(isinstance(value, int) and 0 <= value <= 255 for value in colour)
    )
