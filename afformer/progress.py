"""How long-running work reports its progress."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the step's name, how much of it is done, and the total."""


def no_progress(step: str, done: int, total: int) -> None:
    """For callers that show no progress."""
