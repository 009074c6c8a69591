"""Class names and colours in the forms that files have them in -> tuples in the order of the class ids.

Names: a list, an array, a text with commas or line ends; ids to names, or names to ids; objects with `name`, `id` and
`color`; names to colours. Ids count from 0 or from 1 without gaps; 255 and -1 are no classes.
Colours: a list, an array, ids or names to colours, objects with `color`; each three numbers of 0..255 (of 0..1, if they
are fractions) or `#rrggbb`; or all in one row, as Pillow has palettes.
"""

from __future__ import annotations

import numbers
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from afformer.model.config_text import key_text
from afformer.model.reading.numpy_values import NumpyArray
from afformer.model.reading.objects import Placeholder
from afformer.model.reading.tensors import StoredTensor
from afformer.spec import RGB

NAME_KEYS = (
    *("classes", "class_names", "names", "id2label", "label2id", "label_names", "labels", "classnames"),
    *("class_to_idx", "idx_to_class", "class_map", "label_map", "id_to_name", "name_to_id", "categories", "cat2id"),
)
"""Keys under which files have class names, in lower case."""
COLOUR_KEYS = ("palette", "colors", "colours", "color_map", "colormap", "color_palette", "class_colors")
"""Keys under which files have colours, in lower case."""
_NAME_OF = ("name", "label", "class_name", "readable")
_ID_OF = ("id", "trainid", "train_id", "index")
_COLOUR_OF = ("color", "colour", "rgb", "palette")
_NO_CLASS = ("255", "-1")
_HEX = re.compile(r"#?([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
_MOST = 65536


def names_in(values: Any) -> tuple[str, ...] | None:
    """Class names in one of the forms above; None for anything else, and where a name is there twice."""
    values = _listed(values)
    if isinstance(values, str):
        parts = [part.strip() for part in re.split(r"[,;\n]", values.strip())]
        values = parts if 1 < len(parts) < _MOST else None
    if isinstance(values, Mapping):
        pairs = [(key_text(key), value) for key, value in values.items()]
        if pairs and all(is_id(value) for _, value in pairs):
            pairs = [(str(int(value)), key) for key, value in pairs]
        elif pairs and all(colour_of(value) for _, value in pairs) and not any(key.isdecimal() for key, _ in pairs):
            return _checked([key for key, _ in pairs])
        values = _by_id(pairs)
    if isinstance(values, (list, tuple)) and values and all(isinstance(item, Mapping) for item in values):
        values = _column(values, _NAME_OF)
    return _checked(values)


def colours_in(values: Any, count: int | None = None, names: tuple[str, ...] | None = None) -> tuple[RGB, ...] | None:
    """RGB colours of 0..255 in one of the forms above; None for anything else.

    Args:
        values: As a file has them.
        count: How many are needed, for a row that is padded to 256 colours.
        names: Class names, for the order of colours by name.
    """
    values = _listed(values)
    if isinstance(values, Mapping):
        pairs = [(key_text(key), value) for key, value in values.items()]
        by_name = not any(key.lstrip("-").isdecimal() for key, _ in pairs)
        known = dict(pairs)
        order = names if names and known.keys() == set(names) else known
        values = [known[name] for name in order] if by_name else _by_id(pairs)
    if isinstance(values, (list, tuple)) and values and all(isinstance(item, Mapping) for item in values):
        values = _column(values, _COLOUR_OF)
    if not isinstance(values, (list, tuple)) or not 0 < len(values) < _MOST:
        return None
    if all(map(is_id, values)) and len(values) % 3 == 0:
        values = [values[start : start + 3] for start in range(0, len(values), 3)][:count]
    colours = [colour_of(value) for value in values]
    return None if None in colours else tuple(colour for colour in colours if colour)


def colour_of(value: Any) -> RGB | None:
    """One colour in one of the forms above; None for anything else."""
    value = _listed(value)
    if isinstance(value, str):
        match = _HEX.fullmatch(value.strip())
        return None if match is None else (int(match[1], 16), int(match[2], 16), int(match[3], 16))
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        return None
    if all(isinstance(part, (float, np.floating)) and 0 <= part <= 1 for part in value):
        value = [round(255 * float(part)) for part in value]
    whole = [isinstance(part, (float, np.floating)) and 0 <= part <= 255 and float(part).is_integer() for part in value]
    if not all(fits or (is_id(part) and 0 <= int(part) <= 255) for fits, part in zip(whole, value, strict=True)):
        return None
    return (int(value[0]), int(value[1]), int(value[2]))


def is_id(value: Any) -> bool:
    """Whether a value is a whole number, of Python or NumPy, that may be an id or a part of a colour."""
    whole = isinstance(value, numbers.Integral) or (
        hasattr(value, "dtype") and getattr(value.dtype, "kind", "") in "iu"
    )
    return bool(whole) and not isinstance(value, bool) and -_MOST < value < _MOST  # others take for ever as text


def _listed(values: Any) -> Any:
    """Arrays and tensors as lists; the attributes of an object."""
    if isinstance(values, NumpyArray):
        return values.items if values.array is None else values.array.tolist()
    if isinstance(values, StoredTensor):
        found = values.small(3 * _MOST)
        return None if found is None else found.tolist()
    if isinstance(values, Placeholder):
        return values.state
    return values


def _checked(values: Any) -> tuple[str, ...] | None:
    if not isinstance(values, (list, tuple)) or not values:
        return None
    names = [_name(value) for value in values]
    found = tuple(name for name in names if name)
    return found if len(found) == len(names) == len(set(found)) else None


def _name(value: Any) -> str:
    """Lone surrogates and line breaks could not be shown in a legend."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return str(value) if isinstance(value, str) and value.strip() and value.isprintable() else ""


def _column(items: Any, keys: tuple[str, ...]) -> list[Any] | None:
    """One value of each object, in the order of their ids if they have any."""
    lowered = [{key_text(key).lower(): value for key, value in item.items()} for item in items]
    values = [next((item[key] for key in keys if key in item), None) for item in lowered]
    ids = [next((item[key] for key in _ID_OF if is_id(item.get(key))), None) for item in lowered]
    if None in ids:
        return values
    return _by_id([(str(number), value) for number, value in zip(ids, values, strict=True)])


def _by_id(pairs: list[tuple[str, Any]]) -> list[Any] | None:
    """Values in the order of their ids, if those are 0, 1, 2 and so on, or 1, 2, 3 and so on."""
    pairs = [(key, value) for key, value in pairs if key not in _NO_CLASS or len(pairs) > 255]
    if not all(key.isascii() and key.isdecimal() and len(key) < 6 for key, _ in pairs):
        return None
    found = {int(key): value for key, value in pairs}
    first = min(found, default=0)
    complete = len(found) == len(pairs) and sorted(found) == list(range(first, first + len(pairs)))
    return [found[first + place] for place in range(len(pairs))] if complete and first <= 1 else None
