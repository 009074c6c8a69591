"""Text that Triton's parser of `config.pbtxt` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Union

Value = Union["Word", str, bool, int, Mapping[str, "Value"], Sequence["Value"]]
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Word(str):
    """A name of an enum, which stands without quotes."""


def protobuf_text(fields: Mapping[str, Value], indent: str = "") -> str:
    """The fields of a message, a line each; a list is a repeated field."""
    return "".join(f"{indent}{name}{_written(value, indent)}\n" for name, value in fields.items())


def _written(value: Value, indent: str) -> str:
    if isinstance(value, Mapping):
        return f" {{\n{protobuf_text(value, indent + '  ')}{indent}}}"
    if isinstance(value, str) or not isinstance(value, Sequence):
        return f": {_scalar(value)}"
    return ": [" + ", ".join(_element(element, indent) for element in value) + "]"


def _element(value: Value, indent: str) -> str:
    if isinstance(value, Mapping):
        return f"{{\n{protobuf_text(value, indent + '  ')}{indent}}}"
    assert not isinstance(value, Sequence) or isinstance(value, str), "a list in a list is no protobuf"
    return _scalar(value)


def _scalar(value: Word | str | bool | int) -> str:
    if isinstance(value, Word):
        return str(value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else f'"{"".join(map(_escaped, value))}"'


def _escaped(character: str) -> str:
    """The character, or the bytes of its UTF-8 in octal, which every version of the parser knows."""
    if character in _ESCAPES:
        return _ESCAPES[character]
    if " " <= character <= "~":
        return character
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogatepass"))
