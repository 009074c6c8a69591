"""Objects that one thread at a time may use, lent to many threads."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_FEWEST = 4


class Pool(Generic[T]):
    """Lends objects: those that were given back, else new ones, as many as there are processor cores, at least four.

    More threads than that would gain no speed, but take memory; they wait for their turn.

    Args:
        make: Makes an object.
        at_most: How many to make instead.
    """

    def __init__(self, make: Callable[[], T], at_most: int | None = None) -> None:
        self._make = make
        self._at_most = at_most or max(_FEWEST, os.cpu_count() or 1)
        self._idle: list[T] = []
        self._reset()

    @contextlib.contextmanager
    def lent(self) -> Iterator[T]:
        """An object for the block."""
        if os.getpid() != self._process:  # after a fork: the threads that had borrowed are not in this process
            self._reset()
        with self._turn:
            try:
                item = self._idle.pop()  # the last one given back, whose memory is still in the cache
            except IndexError:
                item = self._make()
            try:
                yield item
            finally:
                self._idle.append(item)

    def _reset(self) -> None:
        self._process = os.getpid()
        self._turn = threading.Semaphore(self._at_most)
