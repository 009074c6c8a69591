"""A data set of your own, described by a text file: one class per line, in the order of the ids in the labels.

    sky
    road #804080
    traffic light

A colour is six hexadecimal digits after a space and `#`; classes without one get well-spread colours.
"""

from __future__ import annotations

import re
from pathlib import Path

from afformer.datasets import IGNORE, Dataset, custom, generic
from afformer.errors import AfformerError
from afformer.foreign import reason
from afformer.spec import RGB

_LINE = re.compile(r"(?P<name>.*?\S)(?:\s+#(?P<colour>[0-9a-fA-F]{6}))?")


def read_names(path: Path) -> Dataset:
    """Reads a names file.

    Raises:
        AfformerError: The file cannot be read, is empty, has an empty line, a repeated name, or too many classes.
    """
    try:
        lines = path.read_text("utf-8-sig").rstrip().splitlines()
    except (OSError, ValueError) as error:
        raise AfformerError(f"{path}: cannot be read as a text of class names ({reason(error)})") from error
    found = [_read(line.strip(), number, path) for number, line in enumerate(lines, 1)]
    names = tuple(name for name, _ in found)
    if not names:
        raise AfformerError(f"{path}: is empty; expected one class name a line")
    if len(names) > IGNORE:
        raise AfformerError(f"{path}: names {len(names)} classes, but labels of 8 bits tell at most {IGNORE} apart")
    for number, name in enumerate(names, 1):
        if name in names[: number - 1]:
            raise AfformerError(f"{path}, line {number}: '{name}' is there twice; every class needs a name of its own")
    spread = generic(len(names)).palette
    return custom(names, tuple(colour or spread[index] for index, (_, colour) in enumerate(found)))


def _read(line: str, number: int, path: Path) -> tuple[str, RGB | None]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise AfformerError(f"{path}, line {number}: is empty; the line's place is the class id, so give it a name")
    if match["colour"] is None:
        return match["name"], None
    red, green, blue = bytes.fromhex(match["colour"])
    return match["name"], (red, green, blue)
