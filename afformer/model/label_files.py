"""Files of class names and colours that a user gives.

.json    a list of names, {"0": name}, {name: 0}, {"classes": ..., "palette": ...}, or a list of objects with
         name, id and color; colours as [r, g, b] or "#rrggbb"
.npy     an (n, 3) array of colours
other    text: one name per line, a colour as `#rrggbb` behind it; of colours, `r g b` or `#rrggbb` a line
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from afformer.datasets.names_file import read_names
from afformer.errors import CheckpointError
from afformer.model.label_forms import COLOUR_KEYS, NAME_KEYS, colour_of, colours_in, names_in
from afformer.spec import RGB

_HEX = re.compile(r"#?([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")

Names = tuple[str, ...]
Colours = tuple[RGB, ...]


def names_in_file(path: Path) -> tuple[Names, Colours | None]:
    """Class names, and colours if the file has them.

    Raises:
        AfformerError: The file cannot be read, or holds no names.
    """
    if path.suffix.lower() != ".json":
        found = read_names(path)
        coloured = re.search(r"\s#[0-9a-fA-F]{6}\s*$", _text(path), re.MULTILINE)
        return found.classes, found.palette if coloured else None
    content = _json(path)
    names = next(filter(None, map(names_in, _members(content, NAME_KEYS))), None)
    if names is None:
        raise CheckpointError(
            f'{path}: holds no class names, or one of them twice; expected a list of names, or {{"0": "name", ...}}'
        )
    return names, next(filter(None, map(colours_in, _members(content, (*COLOUR_KEYS, *NAME_KEYS)))), None)


def colours_in_file(path: Path) -> Colours:
    """One colour per class.

    Raises:
        CheckpointError: The file cannot be read, or holds no colours.
    """
    if path.suffix.lower() == ".json":
        content = _json(path)
        found = next(filter(None, map(colours_in, _members(content, (*COLOUR_KEYS, *NAME_KEYS)))), None)
        return found or _checked(content, path)
    if path.suffix.lower() == ".npy":
        try:
            return _checked(np.load(path, allow_pickle=False).tolist(), path)
        except (OSError, ValueError, EOFError) as error:
            raise CheckpointError(f"{path}: cannot be read as an array of colours ({error})") from error
    lines = [line.strip() for line in _text(path).splitlines() if line.strip()]
    return _checked([re.split(r"[\s,;]+", line) if not _HEX.fullmatch(line) else line for line in lines], path)


def _members(content: Any, keys: tuple[str, ...]) -> list[Any]:
    """A file's content, and what it has under some keys."""
    held = {key.lower(): value for key, value in content.items()} if isinstance(content, dict) else {}
    return [content, *(held[key] for key in keys if key in held)]


def _checked(values: Any, path: Path) -> Colours:
    colours = [_colour(value) for value in values] if isinstance(values, list) else []
    for place, colour in enumerate(colours):
        if colour is None:
            raise CheckpointError(
                f"{path}: {values[place]!r} is not a colour; expected three numbers from 0 to 255, or #rrggbb"
            )
    if not colours:
        raise CheckpointError(f"{path}: holds no colours; expected one a class, such as 128 64 128 or #804080")
    return tuple(colour for colour in colours if colour is not None)


def _colour(value: Any) -> RGB | None:
    if isinstance(value, list):
        value = [int(part) if isinstance(part, str) and part.isdecimal() else part for part in value]
    return colour_of(value)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error}); give a file of text, JSON, or colours as .npy"
        ) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: is not JSON ({error})") from error
