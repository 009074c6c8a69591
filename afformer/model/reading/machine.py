"""Runs a pickle's opcodes, of every protocol, on plain data.

Each opcode is one step that makes at most one small object, `Budget` bounds the steps, no object is ever hashed but
text, and nothing here recurses: however a pickle nests, shares or repeats, reading it takes time and memory in
proportion to its size. What a pickle would call is looked up by name in `builders.py`, and stays a placeholder if it
is not there.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any

from afformer.model.reading.builders import build
from afformer.model.reading.faults import Budget, DamageError, RefusalError, printable
from afformer.model.reading.numpy_values import NumpyArray, NumpyType
from afformer.model.reading.objects import Global, Placeholder, key_of
from afformer.model.reading.operands import EndOfPickleError, Operands
from afformer.model.reading.source import Source
from afformer.model.reading.tensors import Storage, StoredTensor

PersistentLoad = Callable[[Any], Any]
"""Persistent id -> what it stands for, a storage in most forms."""

_STOP = ord(".")
_FIRST_WINDOW = 4 << 10
_FEWEST_STEPS = 100
_LONGEST_TENSOR_STATE = 3  # requires_grad, volatile, hooks
_EMPTY = object()


def no_persistent_ids(_pid: Any) -> Any:
    """For a pickle that must hold plain data alone.

    Raises:
        DamageError: Always.
    """
    raise DamageError("a persistent id where none belongs")


def read_pickle(
    source: Source,
    at: int,
    end: int,
    budget: Budget,
    persistent_load: PersistentLoad = no_persistent_ids,
    *,
    window: int = _FIRST_WINDOW,
) -> tuple[Any, int]:
    """Reads the pickle that starts at `at` in a file and ends before `end`; where it ends, only its opcodes say.

    `window` bytes are read at first, and more if they turn out not to be enough.

    Returns:
        The object, and the position behind the pickle.

    Raises:
        CheckpointError: It is damaged, or takes more than the budget.
    """
    while True:
        data = source.read(at, min(window, end - at))
        machine = Machine(data, budget, persistent_load)
        try:
            return machine.run(), at + machine.at
        except EndOfPickleError:
            if len(data) == end - at:
                raise
        window *= 8  # and from its start again: all windows together are 1.2 times the last


class Machine(Operands):
    """A stack, a memo and a position."""

    def __init__(self, data: bytes, budget: Budget, persistent_load: PersistentLoad = no_persistent_ids) -> None:
        super().__init__(data)
        self._budget = budget
        self._persistent_load = persistent_load
        self._stack: list[Any] = []
        self._push = self._stack.append
        self._marks: list[int] = []
        self._memo: list[Any] = []

    def run(self) -> Any:
        """The object that the pickle describes.

        Raises:
            CheckpointError: It is damaged, or takes more than the budget.
        """
        try:
            with _no_collections():
                return self._run()
        except IndexError as error:  # a pop from the empty stack, or a byte behind the end
            if self._at >= len(self._data):
                raise EndOfPickleError("its pickle ends too early") from error
            raise DamageError(f"its pickle takes what is not there, at byte {self._at:,}") from error
        except ValueError as error:  # not digits, or not text
            raise DamageError(f"its pickle has an invalid value at byte {self._at:,}") from error

    def _run(self) -> Any:
        operations = [operation and operation.__get__(self) for operation in _OPERATIONS]
        data, limit = self._data, self._budget.steps
        for step in range(limit):
            code = data[self._at]
            self._at += 1
            if code == _STOP:
                self._budget.step(max(step, _FEWEST_STEPS))
                return self._stack.pop()
            operation = operations[code]
            if operation is None:
                raise DamageError(f"its pickle has an unknown opcode {code:#04x} at byte {self._at - 1:,}")
            operation()
        raise RefusalError("its pickle takes too many steps for its size; get the original file")

    # The stack

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _to_mark(self) -> list[Any]:
        start = self._marks.pop()
        found = self._stack[start:]
        del self._stack[start:]
        return found

    def _pop(self) -> None:
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._stack.pop()

    def _duplicate(self) -> None:
        self._push(self._stack[-1])

    # The memo. A pickler numbers what it remembers from 0 on, so an index beyond the pickle's length is not its work.

    def _put_next(self) -> None:
        self._memo.append(self._stack[-1])

    def _put_short(self) -> None:
        index = self._data[self._at]
        self._at += 1
        if index == len(self._memo):
            self._memo.append(self._stack[-1])
        else:
            self._put(index)

    def _put(self, index: int) -> None:
        memo = self._memo
        if index == len(memo):
            memo.append(self._stack[-1])
            return
        if not 0 <= index <= len(self._data):
            raise DamageError(f"its pickle remembers an object as number {index:,}, more than it has bytes")
        if index > len(memo):
            memo.extend([_EMPTY] * (index + 1 - len(memo)))
        memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        found = self._memo[index] if 0 <= index < len(self._memo) else _EMPTY
        if found is _EMPTY:
            raise DamageError(f"its pickle recalls object {index:,}, which it never remembered")
        self._push(found)

    # Containers

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise DamageError("its pickle makes a tuple of what is not there")
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def _append(self) -> None:
        value = self._stack.pop()
        self._extend([value])

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is list:
            target.extend(values)
        elif type(target) is not Placeholder:
            raise DamageError(f"its pickle appends to a {type(target).__name__}")

    def _dict(self) -> None:
        items = self._to_mark()
        self._push({})
        self._set_items(items)

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_items([key, value])

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if len(items) % 2:
            raise DamageError("its pickle has a dictionary key without a value")
        if type(target) is dict:
            for index in range(0, len(items), 2):
                target[key_of(items[index])] = items[index + 1]
        elif type(target) is not Placeholder:
            raise DamageError(f"its pickle sets items of a {type(target).__name__}")

    # Objects

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if type(name) is not str or type(module) is not str:
            raise DamageError("its pickle names a class by something that is not text")
        self._budget.copy(len(module) + len(name))
        self._push(Global(f"{module}.{name}"))

    def _call(self) -> None:
        arguments, target = self._stack.pop(), self._stack.pop()
        self._push(build(target, arguments, self._budget))

    def _call_with_keywords(self) -> None:
        self._stack.pop()
        self._call()

    def _instance(self) -> None:
        target = Global(f"{self._name()}.{self._name()}")
        self._push(build(target, tuple(self._to_mark()), self._budget))

    def _object(self) -> None:
        target, *arguments = self._to_mark()
        self._push(build(target, tuple(arguments), self._budget))

    def _set_state(self) -> None:
        """Attributes of objects that we know say nothing that we need: hooks, a state dict's versions."""
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, Placeholder):
            target.state = state
        elif isinstance(target, (NumpyArray, NumpyType)):
            target.set_state(state)
        elif isinstance(target, StoredTensor) and isinstance(state, tuple) and len(state) > _LONGEST_TENSOR_STATE:
            raise DamageError("its pickle gives a tensor other numbers")
        elif isinstance(target, Global):
            raise DamageError(f"its pickle tries to change {printable(target.name.rpartition('.')[2])}")
        elif not isinstance(target, (dict, list, StoredTensor, Storage)):
            raise DamageError(f"its pickle sets the state of a {type(target).__name__}")

    def _persistent(self, pid: Any) -> None:
        self._push(self._persistent_load(pid))


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    """Switches the garbage collector off: looking for cycles among millions of new objects took most of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


_Operation = Callable[[Machine], Any]

_BY_CODE: dict[bytes, _Operation] = {
    # Frame and protocol opcodes need no work.
    b"\x80": lambda m: m._byte(),
    b"\x95": lambda m: m._take(8),
    b"(": Machine._mark,
    b"0": Machine._pop,
    b"1": Machine._to_mark,
    b"2": Machine._duplicate,
    b"p": lambda m: m._put(m._decimal()),
    b"q": Machine._put_short,
    b"r": lambda m: m._put(m._unsigned(4)),
    b"\x94": Machine._put_next,
    b"g": lambda m: m._get(m._decimal()),
    b"h": lambda m: m._get(m._byte()),
    b"j": lambda m: m._get(m._unsigned(4)),
    b"N": lambda m: m._push(None),
    b"\x88": lambda m: m._push(True),
    b"\x89": lambda m: m._push(False),
    b"I": lambda m: m._push(m._decimal_or_bool()),
    b"J": lambda m: m._push(m._signed(4)),
    b"K": lambda m: m._push(m._byte()),
    b"M": lambda m: m._push(m._unsigned(2)),
    b"L": lambda m: m._push(m._decimal()),
    b"\x8a": lambda m: m._push(m._long(1)),
    b"\x8b": lambda m: m._push(m._long(4)),
    b"F": lambda m: m._push(m._decimal_float()),
    b"G": lambda m: m._push(m._double()),
    b"S": lambda m: m._push(m._quoted()),
    b"T": lambda m: m._push(m._old_text(4)),
    b"U": lambda m: m._push(m._old_text(1)),
    b"V": lambda m: m._push(m._escaped()),
    b"X": lambda m: m._push(m._text(4)),
    b"\x8c": lambda m: m._push(m._text(1)),
    b"\x8d": lambda m: m._push(m._text(8)),
    b"B": lambda m: m._push(m._take(m._unsigned(4))),
    b"C": lambda m: m._push(m._take(m._unsigned(1))),
    b"\x8e": lambda m: m._push(m._take(m._unsigned(8))),
    b"\x96": lambda m: m._push(m._take(m._unsigned(8))),
    b")": lambda m: m._push(()),
    b"t": lambda m: m._push(tuple(m._to_mark())),
    b"\x85": lambda m: m._tuple(1),
    b"\x86": lambda m: m._tuple(2),
    b"\x87": lambda m: m._tuple(3),
    b"]": lambda m: m._push([]),
    b"l": lambda m: m._push(m._to_mark()),
    b"a": Machine._append,
    b"e": lambda m: m._extend(m._to_mark()),
    b"}": lambda m: m._push({}),
    b"d": Machine._dict,
    b"s": Machine._set_item,
    b"u": lambda m: m._set_items(m._to_mark()),
    # A set is kept as a list, because its elements would be hashed.
    b"\x8f": lambda m: m._push([]),
    b"\x90": lambda m: m._extend(m._to_mark()),
    b"\x91": lambda m: m._push(m._to_mark()),
    b"c": lambda m: m._push(Global(f"{m._name()}.{m._name()}")),
    b"\x93": Machine._stack_global,
    b"i": Machine._instance,
    b"o": Machine._object,
    b"R": Machine._call,
    b"\x81": Machine._call,
    b"\x92": Machine._call_with_keywords,
    b"b": Machine._set_state,
    b"P": lambda m: m._persistent(m._name()),
    b"Q": lambda m: m._persistent(m._stack.pop()),
}
"""What each opcode does. Missing are those that need something from outside: extension codes, buffers."""

_OPERATIONS: list[_Operation | None] = [_BY_CODE.get(bytes([code])) for code in range(256)]
