"""What TensorRT reports as errors, kept for our own messages."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

_KEPT = 100
"""Messages kept at most."""


class ErrorLog:
    """The errors that TensorRT has logged.

    TensorRT takes one logger per process, the first it is given, and writes to stderr unless that logger is a user's
    own.
    """

    def __init__(self, trt: ModuleType) -> None:
        self.messages: list[str] = []
        self.logger = _logger(trt, self)
        """The object that TensorRT expects as its logger."""

    def clear(self) -> None:
        """Forgets earlier errors."""
        self.messages.clear()

    def reason(self) -> str:
        """The first error since the last `clear`, in one line."""
        return " ".join(self.messages[0].split()) if self.messages else "TensorRT gives no reason"

    def add(self, message: str) -> None:
        """Keeps an error, unless there are too many already."""
        if len(self.messages) < _KEPT:
            self.messages.append(message)


@functools.cache
def error_log(trt: ModuleType) -> ErrorLog:
    """The only error log of a library."""
    return ErrorLog(trt)


def _logger(trt: ModuleType, errors: ErrorLog) -> Any:
    base: Any = trt.ILogger

    class Logger(base):  # type: ignore[misc] # its base is known only at run time
        def __init__(self) -> None:
            base.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                errors.add(message)

    return Logger()
