"""`MemoryBudget`: bodies and decoded pictures are held only as far as there is room for them."""

from __future__ import annotations

from afformer.serve.refusal import busy


class MemoryBudget:
    """Counts bytes; for one event loop.

    Args:
        size: Bytes that may be held at a time.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.held = 0

    def hold(self) -> Held:
        """Begins to hold bytes for one request; nothing yet."""
        return Held(self)

    def change(self, more: int) -> None:
        """Takes or gives back.

        Raises:
            Refusal: 503, there is no room.
        """
        if more > 0 and self.held + more > self._size:
            raise busy("the server holds as many bodies and pictures as it may; try again later")
        self.held += more


class Held:
    """What one request holds of a budget; given back at the end of the `with` block."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._bytes = 0

    def at_least(self, size: int) -> None:
        """Holds `size` bytes, if it does not yet hold as many.

        Raises:
            Refusal: 503, there is no room.
        """
        self.add(max(0, size - self._bytes))

    def add(self, size: int) -> None:
        """Holds `size` bytes more.

        Raises:
            Refusal: 503, there is no room.
        """
        self._budget.change(size)
        self._bytes += size

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.change(-self._bytes)
        self._bytes = 0
