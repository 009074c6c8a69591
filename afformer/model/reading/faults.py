"""Reasons for not reading a file, and a bound on the work that it may cause."""

from __future__ import annotations

from afformer.errors import CheckpointError

_FREE_STEPS = 2_000_000
_BYTES_PER_STEP = 64
_FREE_COPIES = 64 << 20
_SHOWN = 80


class DamageError(CheckpointError):
    """The file is not what its form promises; the message is the reason alone, without the path."""


class RefusalError(CheckpointError):
    """The file is whole, but not one that we read; the message says what it is and what to do, without the path."""


class Budget:
    """What one file may cost: a fixed allowance, and more in proportion to its size.

    Attributes:
        steps: Pickle operations that are left. Each makes at most one small object (under 200 bytes).
        copies: Bytes that may still be copied from what was read before.
    """

    __slots__ = ("copies", "steps")

    def __init__(self, file_size: int) -> None:
        self.steps = _FREE_STEPS + file_size // _BYTES_PER_STEP
        self.copies = _FREE_COPIES + 2 * file_size

    def step(self, count: int) -> None:
        """Takes `count` operations.

        Raises:
            RefusalError: Fewer are left.
        """
        self.steps -= count
        if self.steps < 0:
            raise RefusalError("its pickle takes too many steps for its size; get the original file")

    def copy(self, count: int) -> None:
        """Takes `count` bytes.

        Raises:
            RefusalError: Fewer are left.
        """
        self.copies -= count
        if self.copies < 0:
            raise RefusalError("its pickle copies the same data again and again; get the original file")


def printable(text: str) -> str:
    """A name from a file, fit for a one-line message: no control characters, cut to a length."""
    shown = text[:_SHOWN]
    if not shown.isprintable():
        shown = shown.encode("unicode_escape").decode("ascii")
    return shown + ("..." if len(text) > _SHOWN else "")
