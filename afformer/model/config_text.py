"""The configuration that trainers store in a checkpoint, mostly as the text of a Python file -> plain data.

The text is never run. Its syntax tree is read: literals, `dict(...)`, names that were assigned before, `**name` inside
dictionaries, and arithmetic of numbers. What is anything else becomes None.
"""

from __future__ import annotations

import ast
import json
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from afformer.model.reading.objects import OtherKey, Placeholder

_LONGEST = 2_000_000
_DEEPEST = 40
_PLACES = ("cfg", "config", "hyper_parameters", "hparams", "args", "opt", "hyper_params")
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class Config(NamedTuple):
    """What a file says about its training.

    Attributes:
        found: Plain data, by the name of the place that holds it.
        unread: Places whose text could not be read.
    """

    found: dict[str, Any]
    unread: tuple[str, ...]


class Entry(NamedTuple):
    """A dictionary inside a configuration, and the keys that lead to it."""

    path: tuple[str, ...]
    values: Mapping[str, Any]


def config_of(content: Any, metadata: Mapping[str, str]) -> Config:
    """The configuration in a checkpoint file: mmcv's and mmengine's text, Lightning's hyper-parameters and the like."""
    meta = content.get("meta") if isinstance(content, Mapping) else None
    found, unread = {}, []
    for where, holder in (("meta", meta), ("", content), ("metadata", metadata)):
        if not isinstance(holder, Mapping):
            continue
        for key in _PLACES:
            value = holder.get(key)
            name = f"{where}.{key}" if where else key
            parsed = parse(value) if isinstance(value, str) else _plain(value)
            if parsed is not None:
                found[name] = parsed
            elif isinstance(value, str) and value.strip():
                unread.append(name)
    return Config(found, tuple(unread))


def parse(text: str) -> dict[str, Any] | None:
    """The assignments of a configuration file in Python, or its JSON; None if it is neither."""
    if len(text) > _LONGEST:
        return None
    try:
        found = json.loads(text)
        return found if isinstance(found, dict) else None
    except (ValueError, RecursionError):
        pass
    # mmcv's `Config.text` puts the name of each file on a line of its own before its content.
    lines = [line for line in text.splitlines() if not (line.endswith(".py") and " " not in line)]
    try:
        return _assigned(ast.parse("\n".join(lines)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def entries(found: Mapping[str, Any]) -> Iterator[Entry]:
    """Every dictionary in a configuration, each once, outer ones first."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), found)]
    seen: set[int] = set()
    while waiting:
        path, value = waiting.pop(0)
        value = _plain(value) if isinstance(value, Placeholder) else value
        if id(value) in seen or len(path) > _DEEPEST:
            continue
        if isinstance(value, Mapping):
            seen.add(id(value))
            yield Entry(path, {key_text(key): inner for key, inner in value.items()})
            waiting += [((*path, key_text(key)), inner) for key, inner in value.items()]
        elif isinstance(value, (list, tuple)):
            seen.add(id(value))
            waiting += [((*path, str(index)), inner) for index, inner in enumerate(value)]


_LARGEST_KEY = 10**9


def key_text(key: Any) -> str:
    """A dictionary's key as text: numbers as they are written, and of anything else its type alone."""
    # a file can hold tuples of tuples, and whole numbers of a million digits, whose text takes for ever
    if isinstance(key, OtherKey) and isinstance(key.value, int) and abs(key.value) <= _LARGEST_KEY:
        return str(key.value)
    return str(key)


def _plain(value: Any) -> dict[str, Any] | None:
    """A dictionary, or the attributes of a namespace or of a dictionary's subclass; None for anything else."""
    if isinstance(value, Placeholder):
        value = value.state
    return dict(value) if isinstance(value, Mapping) else None


def _assigned(tree: ast.Module) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            value = _value(statement.value, known)
            known.update({target.id: value for target in statement.targets if isinstance(target, ast.Name)})
    return known


def _value(node: ast.expr, known: Mapping[str, Any]) -> Any:  # noqa: PLR0911 - one line a kind of node
    match node:
        case ast.Constant(value):
            return value
        case ast.Name(name):
            return known.get(name)
        case ast.List(items) | ast.Tuple(items) | ast.Set(items):
            return [_value(item, known) for item in items]
        case ast.Dict():
            return _dictionary(zip(node.keys, node.values, strict=True), known)
        case ast.Call(ast.Name("dict"), [], keywords):
            return _dictionary(((word.arg and ast.Constant(word.arg), word.value) for word in keywords), known)
        case ast.UnaryOp(ast.USub(), operand):
            value = _value(operand, known)
            return -value if isinstance(value, (int, float)) else None
        case ast.BinOp(left, kind, right):
            return _computed(_value(left, known), kind, _value(right, known))
    return None


def _dictionary(items: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, node in items:
        value = _value(node, known)
        if key is None:  # **value
            found.update(value if isinstance(value, dict) else {})
        else:
            found[str(_value(key, known))] = value
    return found


def _computed(left: Any, kind: ast.operator, right: Any) -> Any:
    compute = _ARITHMETIC.get(type(kind))
    numbers = all(isinstance(value, (int, float)) and abs(value) < 1e9 for value in (left, right))
    if compute is None or not numbers or (isinstance(kind, ast.Div) and not right):
        return None
    return compute(left, right)
