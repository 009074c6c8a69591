"""Texts and JSON from outside: reading one gives the right value or raises one of `UNREADABLE`."""

from __future__ import annotations

import reprlib

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What is raised by reading JSON, and by making values of it, if it is not what was expected."""

_LONGEST = 160
_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _LONGEST


def text(value: object) -> str:
    """A value as text that can be printed and written to a file.

    Raises:
        ValueError: It holds half of a surrogate pair, which JSON can and UTF-8 cannot.
    """
    found = str(value)
    try:
        found.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{quoted(found)} holds half of a surrogate pair") from error
    return found


def quoted(value: object) -> str:
    """A value as an error shows it: one short line."""
    return _repr.repr(value)


def reason(error: Exception) -> str:
    """Why something could not be read: one short line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = " ".join(f"{error}".split()).encode(errors="backslashreplace").decode()
    return f"{type(error).__name__}: {said[:_LONGEST]}"
