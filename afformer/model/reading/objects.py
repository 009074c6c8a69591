"""Stand-ins for what is not plain data in a pickle."""

from __future__ import annotations

from typing import Any


class Global:
    """A class or function that a pickle names. It was not looked up and cannot be called.

    Attributes:
        name: Module and name, with a point between them.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Placeholder:
    """An object that only the code of its class could make.

    Attributes:
        name: Its class, or the function that the pickle would have called.
        state: What the pickle says of its attributes, or None.
    """

    __slots__ = ("name", "state")

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: Any = None


class OtherKey:
    """A dictionary key that is not text.

    Keys are compared as objects: a number or a tuple from a file is never hashed, because a file can choose numbers
    that collide and tuples that take for ever to hash.

    Attributes:
        value: The key.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __str__(self) -> str:
        return f"<{type(self.value).__name__}>"


def key_of(value: Any) -> Any:
    """What stands for `value` as a key."""
    return value if type(value) is str else OtherKey(value)
