"""Files of class names and colours that a user gives.

.json    a list of names, {"0": name}, {name: 0}, {"classes": ..., "palette": ...}, or a list of objects with
         name, id and color; colours as [r, g, b] or "#rrggbb"
.npy     an (n, 3) array of colours
other    text: one name a line, a colour as `#rrggbb` behind it; of colours, `r g b` or `#rrggbb` a line
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from afformer.datasets.names_file import read_names
from afformer.errors import CheckpointError
from afformer.spec import RGB

_HEX = re.compile(r"#?([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
_ID_KEYS = ("id", "trainId", "train_id", "index")
_COLOUR_KEYS = ("palette", "colors", "colours", "color", "colour", "color_map", "colormap")
_NAME_KEYS = ("classes", "class_names", "names", "name", "label", "id2label", "labels")

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
    names = _column(content, _NAME_KEYS)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise CheckpointError(f'{path}: holds no class names; expected a list of names, or {{"0": "name", ...}}')
    colours = _column(content, _COLOUR_KEYS) if _has_colours(content) else None
    return tuple(names), None if colours is None else _checked(colours, path)


def colours_in_file(path: Path) -> Colours:
    """One colour a class.

    Raises:
        CheckpointError: The file cannot be read, or holds no colours.
    """
    if path.suffix.lower() == ".json":
        return _checked(_column(_json(path), _COLOUR_KEYS), path)
    if path.suffix.lower() == ".npy":
        try:
            return _checked(np.load(path, allow_pickle=False).tolist(), path)
        except (OSError, ValueError, EOFError) as error:
            raise CheckpointError(f"{path}: cannot be read as an array of colours ({error})") from error
    lines = [line.strip() for line in _text(path).splitlines() if line.strip()]
    return _checked([re.split(r"[\s,;]+", line) if not _HEX.fullmatch(line) else line for line in lines], path)


def _has_colours(content: Any) -> bool:
    first = content[0] if isinstance(content, list) and content else content
    return isinstance(first, dict) and any(key in first for key in _COLOUR_KEYS)


def _column(content: Any, keys: tuple[str, ...]) -> Any:
    """The list of a file's names or colours, in the order of the ids."""
    if isinstance(content, dict):
        named = next((content[key] for key in keys if key in content), None)
        if named is not None:
            return _column(named, keys)
        if all(key.isdecimal() for key in content):
            pairs = [(int(key), value) for key, value in content.items()]
        elif all(isinstance(value, int) and not isinstance(value, bool) for value in content.values()):
            pairs = [(value, key) for key, value in content.items()]
        else:
            return None
        return _in_order(pairs)
    if isinstance(content, list) and content and all(isinstance(item, dict) for item in content):
        values = [next((item[key] for key in keys if key in item), None) for item in content]
        ids = [next((item[key] for key in _ID_KEYS if key in item), None) for item in content]
        if all(isinstance(number, int) for number in ids):
            return _in_order([(number or 0, value) for number, value in zip(ids, values, strict=True)])
        return values
    return content


def _in_order(pairs: list[tuple[int, Any]]) -> list[Any] | None:
    found = dict(pairs)
    return [found[i] for i in range(len(pairs))] if set(found) == set(range(len(pairs))) else None


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
    if isinstance(value, str):
        match = _HEX.fullmatch(value.strip())
        return None if match is None else (int(match[1], 16), int(match[2], 16), int(match[3], 16))
    try:
        parts = [int(str(part)) for part in value]
    except (TypeError, ValueError):
        return None
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 and all(0 <= part <= 255 for part in parts) else None


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
