"""A daemon thread that is inside native code when Python ends aborts the whole process; the calls here wait for that.

Until Python 3.13 the interpreter ends such a thread when it comes back from native code, by unwinding its stack; the
C++ of OpenCV and of the engines does not survive that. So the end of the process waits for the running calls, and a
thread that starts another one then waits for the end.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from collections.abc import Iterator

_POLL_SECONDS = 0.001
_running: set[int] = set()
"""Threads inside a call."""
_ending = False


@contextlib.contextmanager
def finished_before_exit() -> Iterator[None]:
    """Holds back the end of the process until the block is done. Nests."""
    thread = threading.get_ident()
    if thread in _running:
        yield
        return
    # First added, then looked: `_wait` does it the other way round, so that one of the two sees the other.
    _running.add(thread)
    try:
        if _ending and thread != threading.main_thread().ident:
            _running.discard(thread)
            threading.Event().wait()  # for good: Python is about to end
        yield
    finally:
        _running.discard(thread)


def _wait() -> None:
    global _ending  # noqa: PLW0603 - there is one interpreter
    _ending = True
    while _running - {threading.get_ident()}:
        time.sleep(_POLL_SECONDS)


atexit.register(_wait)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_running.clear)  # the child has none of these threads
