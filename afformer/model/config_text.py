"""What a checkpoint file says beside its weights: the configuration of its training, and any other plain data.

Trainers store the configuration mostly as the text of a Python file.

The text is never run. Its syntax tree is read: literals, `dict(...)`, names that were assigned before, `**name` inside
dictionaries, arithmetic of numbers, `[0.5] * 3` and `[255 * x for x in [...]]`. What is anything else becomes None.
"""

from __future__ import annotations

import ast
import collections
import json
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from afformer.model.reading.objects import OtherKey, Placeholder

_LONGEST = 2_000_000
_DEEPEST = 40
THE_FILE = "the file"
"""The name of the place for what a file holds outside its configurations."""
_PLACES = ("cfg", "config", "hyper_parameters", "hparams", "args", "opt", "hyper_params")
_TRAINING_STATE = ("optimizer", "optim", "lr_sched", "scheduler", "message_hub", "loops", "rng", "scaler")
_MOST_ITEMS = 16
"""In a list that a text repeats or computes: channels are three, and memory must not grow beyond the text."""
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
    rest = {key: value for key, value in _items(content) if not _is_told_elsewhere(key)}
    rest |= {key: _from_text(text) for key, text in metadata.items() if not _is_told_elsewhere(key)}
    return Config(found | {THE_FILE: rest}, tuple(unread))


def _from_text(text: str) -> Any:
    """A text of safetensors' metadata, which mostly is JSON."""
    try:
        return json.loads(text) if len(text) <= _LONGEST else None
    except (ValueError, RecursionError):
        return text


def _items(content: Any) -> list[tuple[str, Any]]:
    """What lies at the top level of a file, without state dicts."""
    if isinstance(content, (list, tuple)):
        return [(str(index), item) for index, item in enumerate(content)]
    held = _plain(content)
    return [] if held is None or _holds_weights(held) else [(key_text(key), value) for key, value in held.items()]


def _is_told_elsewhere(key: str) -> bool:
    return key in _PLACES or any(word in key.lower() for word in _TRAINING_STATE)


def _holds_weights(values: Mapping[Any, Any]) -> bool:
    return any(isinstance(key, str) and key.endswith(".weight") for key in values)


def parse(text: str) -> dict[str, Any] | None:
    """The assignments of a configuration file in Python, or its JSON; None if it is neither."""
    read = _read(text)
    return read[1] if read else None


def stated(text: str, name: str) -> list[Any]:
    """Every constant that a configuration's text gives a name: as variable, dictionary's key, or keyword of a call."""
    tree, known = _read(text) or (None, {})
    if tree is None:
        return [entry.values[name] for entry in entries(known) if name in entry.values]
    given = (value for node in ast.walk(tree) for key, value in _pairs(node) if key == name)
    return [_value(value, known) for value in given if isinstance(value, (ast.Constant, ast.Name))]


def _pairs(node: ast.AST) -> list[tuple[Any, ast.expr]]:
    """The names that a node of a syntax tree gives to values."""
    match node:
        case ast.keyword(name, value):
            return [(name, value)]
        case ast.Assign(targets, value):
            return [(target.id, value) for target in targets if isinstance(target, ast.Name)]
        case ast.Dict(keys, values):
            pairs = zip(keys, values, strict=True)
            return [(key.value, value) for key, value in pairs if isinstance(key, ast.Constant)]
    return []


def _read(text: str) -> tuple[ast.Module | None, dict[str, Any]] | None:
    """The syntax tree of Python, and its assignments; of JSON its dictionary alone; None if the text is neither."""
    if len(text) > _LONGEST:
        return None
    try:
        found = json.loads(text)
        return (None, found) if isinstance(found, dict) else None
    except (ValueError, RecursionError):
        pass
    # mmcv's `Config.text` puts the name of each file on a line of its own before its content.
    lines = [line for line in text.splitlines() if not (line.endswith(".py") and " " not in line)]
    try:
        tree = ast.parse("\n".join(lines))
        return tree, _assigned(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def entries(found: Mapping[str, Any]) -> Iterator[Entry]:
    """Every dictionary in a configuration, each once, outer ones first; no state dicts."""
    waiting: collections.deque[tuple[tuple[str, ...], Any]] = collections.deque([((), found)])
    seen: set[int] = set()
    while waiting:
        path, value = waiting.popleft()
        value = _plain(value) if isinstance(value, Placeholder) else value
        if id(value) in seen or len(path) > _DEEPEST:
            continue
        if isinstance(value, Mapping) and not _holds_weights(value):
            seen.add(id(value))
            yield Entry(path, {key_text(key): inner for key, inner in value.items()})
            waiting += [((*path, key_text(key)), inner) for key, inner in value.items() if isinstance(inner, _HOLDERS)]
        elif isinstance(value, (list, tuple)):
            seen.add(id(value))
            waiting += [((*path, str(i)), inner) for i, inner in enumerate(value) if isinstance(inner, _HOLDERS)]


_HOLDERS = (Mapping, list, tuple, Placeholder)
_LARGEST_KEY = 10**9


def key_text(key: Any) -> str:
    """A dictionary's key as text: numbers as they are written, and of anything else its type alone."""
    # a file can hold tuples of tuples, and whole numbers of a million digits, which take for ever to print
    if isinstance(key, OtherKey) and isinstance(key.value, int) and abs(key.value) <= _LARGEST_KEY:
        return str(key.value)
    return str(key)


def word(value: Any) -> str:
    """A text in lower case, empty for anything else: the text of whatever a file nests may take for ever."""
    return value.lower() if isinstance(value, str) else ""


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
        case ast.Call(ast.Name("list" | "tuple") | ast.Attribute(_, "array" | "asarray"), [argument], _):
            return _value(argument, known)
        case ast.ListComp(element, [ast.comprehension(ast.Name(name), of, [])]):
            return _each(element, name, _value(of, known), known)
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


def _each(element: ast.expr, name: str, values: Any, known: Mapping[str, Any]) -> list[Any] | None:
    nested = any(isinstance(inner, ast.ListComp) for inner in ast.walk(element))
    if nested or not isinstance(values, list) or len(values) > _MOST_ITEMS:
        return None
    return [_value(element, {**known, name: value}) for value in values]


def _computed(left: Any, kind: ast.operator, right: Any) -> Any:
    if isinstance(kind, ast.Mult) and isinstance(left, list) and isinstance(right, int):
        return left * right if 0 <= len(left) * right <= _MOST_ITEMS else None
    compute = _ARITHMETIC.get(type(kind))
    numbers = all(isinstance(value, (int, float)) and abs(value) < 1e9 for value in (left, right))
    if compute is None or not numbers or (isinstance(kind, ast.Div) and not right):
        return None
    return compute(left, right)
