"""Connects the stages of a flow: short queues between threads, and one request that stops all of them."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from types import FrameType
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_POLL_S = 0.1
"""How often a waiting thread checks whether it should stop."""


class FlowStopped(BaseException):
    """Unwinds a stage of a flow that should stop. Not an error, and no `except Exception` may catch it."""


class StopRequest:
    """Whether a flow should stop. Plain flags without locks, as a signal may come at any moment.

    Args:
        stop: The caller's request.

    Attributes:
        signal: The signal that has come, or None.
        quit: The user has quit in the window.
        done: The flow itself has ended.
    """

    def __init__(self, stop: threading.Event | None) -> None:
        self.signal: int | None = None
        self.quit = False
        self.done = False
        self._stop = stop
        self._before: dict[signal.Signals, Any] = {}

    def is_set(self) -> bool:
        """Whether anyone has asked to stop."""
        return self.done or self.signal is not None or self.quit or (self._stop is not None and self._stop.is_set())

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Turns the first Ctrl-C or SIGTERM into a request. In other threads than the main one this does nothing."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._interrupt)
        try:
            yield
        finally:
            self._restore()

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())


class StageQueue(Generic[T]):
    """A short queue of items other than None between two threads, which also carries the end and an error.

    Args:
        depth: Most items that it holds.
        stop: Ends the waiting at both ends.
        idle: Called regularly while an item is waited for.
    """

    def __init__(self, depth: int, stop: StopRequest, idle: Callable[[], None] = lambda: None) -> None:
        self._queue: queue.Queue[T | Exception | None] = queue.Queue(depth)
        self._stop, self._idle = stop, idle

    def feed(self, items: Generator[T, None, None]) -> None:
        """Puts all items in, then the end or the error with which they ended."""
        with contextlib.suppress(FlowStopped), contextlib.closing(items):
            try:
                for item in items:
                    self._put(item)
                self._put(None)
            except Exception as error:
                self._put(error)

    def __iter__(self) -> Iterator[T]:
        while (item := self._get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    def _put(self, item: T | Exception | None) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Full):
                return self._queue.put(item, timeout=_POLL_S)
        raise FlowStopped

    def _get(self) -> T | Exception | None:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Empty):
                return self._queue.get(timeout=_POLL_S)
            self._idle()
        raise FlowStopped
