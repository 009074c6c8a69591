"""OpenCV's settings, which hold for the whole process: changed for a block and restored after it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import cv2

_thread_lock = threading.Lock()
_thread_users = _threads_before = 0
_quiet_lock = threading.Lock()
_quiet_users = 0
_loud_level = 0


@contextlib.contextmanager
def single_threaded_opencv() -> Iterator[None]:
    """Leaves all cores to the network.

    In the few milliseconds around the network OpenCV's own threads gain nothing, but take cores from the backend, whose
    threads wait for each other: with them a video took 5 to 10 % longer (2 cores). Nests across threads.
    """
    global _thread_users, _threads_before  # noqa: PLW0603 - OpenCV's number of threads is global, too
    with _thread_lock:
        if _thread_users == 0:
            _threads_before = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _thread_users += 1
    try:
        yield
    finally:
        with _thread_lock:
            _thread_users -= 1
            if _thread_users == 0:
                cv2.setNumThreads(_threads_before)


@contextlib.contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keeps OpenCV from writing to stderr about damaged files, which are reported as errors. Nests across threads."""
    global _quiet_users, _loud_level  # noqa: PLW0603 - OpenCV's log level is global, too
    with _quiet_lock:
        if _quiet_users == 0:
            _loud_level = cv2.utils.logging.setLogLevel(0)
        _quiet_users += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_users -= 1
            if _quiet_users == 0:
                cv2.utils.logging.setLogLevel(_loud_level)
