"""Class names, colours and normalisation that a checkpoint file carries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from afformer.errors import CheckpointError
from afformer.model.reading.faults import printable
from afformer.spec import IMAGENET_MEAN, IMAGENET_STD, RGB, Channels

Labels = tuple[tuple[str, ...] | None, tuple[RGB, ...] | None]
"""Class names and palette; None for what is missing or does not fit."""

_LARGEST = 1e6
_OWN = ("classes", "palette", "mean", "std")
"""Keys of our own metadata, each a JSON text."""


def labels_in(content: Any, metadata: dict[str, str], count: int, path: Path) -> Labels:
    """Reads our own metadata, mmcv's `meta` or mmengine's `dataset_meta`.

    Files of other tools may contain anything; what is not a list of `count` names or of `count` RGB colours (0..255)
    counts as missing.

    Raises:
        CheckpointError: The file has our own format, but its metadata cannot be read.
    """
    lowered = _meta(content, metadata, path)
    return _names(lowered.get("classes"), count), _palette(lowered.get("palette"), count)


def normalisation_in(content: Any, metadata: dict[str, str], path: Path) -> tuple[Channels, Channels]:
    """Mean and standard deviation by channel, RGB, 0..255 scale; ImageNet's if the file says nothing.

    Raises:
        CheckpointError: The file says something else than three numbers each, above 0 for the deviations.
    """
    lowered = _meta(content, metadata, path)
    if "mean" not in lowered and "std" not in lowered:
        return IMAGENET_MEAN, IMAGENET_STD
    mean, std = _channels(lowered.get("mean")), _channels(lowered.get("std"))
    if mean is None or std is None or min(std) <= 0:
        found = f"mean {_shown(lowered.get('mean'))} and std {_shown(lowered.get('std'))}"
        raise CheckpointError(
            f"{path}: its normalisation, {found}, must be three numbers each, std above 0; save it again"
        )
    return mean, std


def _meta(content: Any, metadata: dict[str, str], path: Path) -> dict[str, Any]:
    """What the file says of itself, keys in lower case."""
    meta = _own(metadata, path) or (content.get("meta") if isinstance(content, Mapping) else None)
    if isinstance(meta, Mapping):
        meta = meta.get("dataset_meta", meta)
    return {str(key).lower(): value for key, value in meta.items()} if isinstance(meta, Mapping) else {}


def _own(metadata: dict[str, str], path: Path) -> dict[str, Any] | None:
    try:
        return {key: json.loads(metadata[key]) for key in _OWN if key in metadata} or None
    except (ValueError, RecursionError) as error:  # RecursionError: nested without end
        raise CheckpointError(
            f"{path}: its metadata for {', '.join(_OWN)} is not JSON ({error}); save it again"
        ) from error


def _names(names: Any, count: int) -> tuple[str, ...] | None:
    fits = isinstance(names, (list, tuple)) and len(names) == count and all(map(_is_name, names))
    return tuple(names) if fits else None


def _is_name(name: Any) -> bool:
    """Half characters and line ends could not be shown in a legend."""
    return isinstance(name, str) and name.isprintable()


def _palette(colours: Any, count: int) -> tuple[RGB, ...] | None:
    fits = isinstance(colours, (list, tuple)) and len(colours) == count and all(_is_colour(c) for c in colours)
    return tuple((int(r), int(g), int(b)) for r, g, b in colours) if fits else None


def _is_colour(colour: Any) -> bool:
    return (
        isinstance(colour, (list, tuple))
        and len(colour) == 3
        and all(isinstance(value, int) and 0 <= value <= 255 for value in colour)
    )


def _shown(found: Any) -> str:
    """A value of a file in a message: numbers and lists of a few, and of all else only the type."""
    if isinstance(found, (list, tuple)) and len(found) <= 4:
        return f"[{', '.join(_shown(value) if not isinstance(value, (list, tuple)) else '[...]' for value in found)}]"
    return printable(repr(found)) if isinstance(found, (int, float, str, type(None))) else type(found).__name__


def _channels(values: Any) -> Channels | None:
    fits = (
        isinstance(values, (list, tuple))
        and len(values) == 3
        and all(isinstance(value, (int, float)) and abs(value) < _LARGEST for value in values)
    )
    return (float(values[0]), float(values[1]), float(values[2])) if fits else None
