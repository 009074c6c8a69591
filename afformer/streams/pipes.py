"""What joins the stages of a flow: short queues between threads, and the one flag that ends them all."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import queue
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from types import FrameType
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_POLL_S = 0.1
"""How often a thread that waits looks whether it is to end."""


class Halted(BaseException):
    """The flow is to end. No error: it unwinds the stages, and no `except Exception` may stop it."""


class Halt:
    """Called, says whether the flow is to end. Plain flags without locks, as a signal may come at any moment.

    Args:
        stop: The caller's wish to end it.

    Attributes:
        interrupted: Whether a signal has come.
        quit: Whether the user has quit in the window.
        done: Set by the flow itself when it ends.
    """

    def __init__(self, stop: threading.Event | None) -> None:
        self.interrupted = False
        self.quit = False
        self.done = False
        self._stop = stop
        self._before: dict[signal.Signals, Any] = {}

    def __call__(self) -> bool:  # noqa: D102 - see the class
        return self.done or self.interrupted or self.quit or (self._stop is not None and self._stop.is_set())

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM halt, the first time. Only the main thread may say so."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._interrupt)
        try:
            yield
        finally:
            self._restore()

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self.interrupted = True
        self._restore()

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())


@dataclasses.dataclass(frozen=True)
class _Failed:
    error: Exception


class _End(enum.Enum):
    END = enum.auto()


class Pipe(Generic[T]):
    """A short queue between two threads, which carries the end and an error as well.

    Args:
        depth: Items that it holds.
        halt: Ends the waiting at either end.
        idle: Called now and then while an item is waited for.
    """

    def __init__(self, depth: int, halt: Halt, idle: Callable[[], None] = lambda: None) -> None:
        self._queue: queue.Queue[T | _Failed | _End] = queue.Queue(depth)
        self._halt, self._idle = halt, idle

    def feed(self, items: Generator[T, None, None]) -> None:
        """Puts all items in, then the end or the error with which they ended."""
        with contextlib.suppress(Halted), contextlib.closing(items):
            try:
                for item in items:
                    self._put(item)
                self._put(_End.END)
            except Exception as error:
                self._put(_Failed(error))

    def __iter__(self) -> Iterator[T]:
        while not isinstance(item := self._get(), _End):
            if isinstance(item, _Failed):
                raise item.error
            yield item

    def _put(self, item: T | _Failed | _End) -> None:
        while not self._halt():
            with contextlib.suppress(queue.Full):
                return self._queue.put(item, timeout=_POLL_S)
        raise Halted

    def _get(self) -> T | _Failed | _End:
        while not self._halt():
            with contextlib.suppress(queue.Empty):
                return self._queue.get(timeout=_POLL_S)
            self._idle()
        raise Halted
