"""Every request is counted, timed and logged; none of its content is."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from afformer.serve.state import ServerState

_log = logging.getLogger("afformer.serve.access")
_SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "color_message", "taskName"}


class Observer:
    """Middleware that sees every request first and every answer last.

    Args:
        app: What answers.
        state: Where requests are counted.
    """

    def __init__(self, app: ASGIApp, state: ServerState) -> None:
        self._app, self._state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 499  # as nginx counts clients that left

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_SECURITY, *self._closing(message)]
            await send(message)

        try:
            await self._app(scope, receive, observed_send)
        finally:
            self._count(scope, status, time.perf_counter() - start)

    def _closing(self, message: Message) -> list[tuple[bytes, bytes]]:
        """Tells clients to open no further request on a connection of a server that is about to end."""
        closed = any(name == b"connection" for name, _ in message["headers"])
        return [(b"connection", b"close")] if self._state.ending() and not closed else []

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        endpoint = getattr(scope.get("route"), "path", "other")
        self._state.metrics.request(endpoint, status, seconds)
        client = scope.get("client")
        details = {
            "method": scope["method"],
            "endpoint": endpoint,
            "status": status,
            "ms": round(1000 * seconds, 2),
            "client": client[0] if client else None,
        }
        if "path_params" in scope and "model" in scope["path_params"]:
            details["model"] = scope["path_params"]["model"][:100]
        _log.info("request", extra=details)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, message, and what else is known."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
