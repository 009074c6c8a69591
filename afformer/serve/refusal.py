"""`Refusal`: a request that is not answered, with the status and the sentence that the client gets."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818 - an answer, not a failure
    """Ends a request with a status above 399.

    Args:
        status: HTTP status.
        message: What the client reads: what, expected, remedy. Never a path or a name of this machine.
        headers: Further response headers.
    """

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


def busy(message: str, seconds: float = 1.0) -> Refusal:
    """503 with `Retry-After`, in whole seconds."""
    return Refusal(503, message, {"Retry-After": str(max(1, round(seconds)))})


class ClientLeft(Exception):  # noqa: N818 - not an error of ours
    """The client closed its connection, so nobody waits for the answer."""
