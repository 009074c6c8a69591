"""uvicorn's HTTP protocol with deadlines and limits, so that no client can hold a connection for ever."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from afformer.serve.options import Limits

_HEADER_BYTES = 32 << 10
_LINGER_S = 2.0
"""How long a client may go on sending a body that has been refused, so that it reads the refusal."""
_LAST_REQUEST_S = 0.25
"""How long an idle connection is left open when the server ends: a request may be under way."""


def protocol_of(limits: Limits) -> type[HttpToolsProtocol]:
    """The class that uvicorn makes for each connection."""

    class Connection(_Connection):
        pass

    Connection.limits = limits
    return Connection


class _Connection(HttpToolsProtocol):
    """A connection with deadlines for what the client sends and takes."""

    limits: Limits
    _timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _in_headers = False
    _header_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # Without a buffer, `pause_writing` is called whenever the client does not take what is sent.
        transport.set_write_buffer_limits(high=0)
        if len(self.connections) > self.limits.connections:
            self._refuse(503, "Service Unavailable", "too many connections; try again later", "Retry-After: 1\r\n")
        else:
            self._wait(self.limits.header_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        if self._write_timer:
            self._write_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > _HEADER_BYTES:
                self._refuse(431, "Request Header Fields Too Large", f"headers are limited to {_HEADER_BYTES} bytes")
        elif self._timer is None and not self._in_exchange():  # empty lines between requests end the keep-alive timer
            self._wait(self.limits.header_s)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers, self._header_bytes = True, 0
        self._wait(self.limits.header_s)

    def on_headers_complete(self) -> None:
        self._stop()
        self._in_headers = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._stop()  # a refused body has been thrown away to its end

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.more_body and not self.transport.is_closing():
            self._wait(_LINGER_S)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "Bad Request", msg)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.limits.write_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer:
            self._write_timer.cancel()

    def shutdown(self) -> None:
        # The client of a connection that is idle now may have sent a request that has not arrived.
        if not self._in_exchange():
            self.loop.call_later(_LAST_REQUEST_S, super().shutdown)
        else:
            super().shutdown()

    def _in_exchange(self) -> bool:
        """Whether a request is being received or answered."""
        return self.cycle is not None and (self.cycle.more_body or not self.cycle.response_complete)

    def _wait(self, seconds: float) -> None:
        self._stop()
        self._timer = self.loop.call_later(seconds, self._too_slow)

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        if self._in_headers and self._in_exchange():  # of a request that was sent before the last one was answered
            self._wait(self.limits.header_s)
        elif self._in_headers:
            self._refuse(408, "Request Timeout", f"the headers did not arrive within {self.limits.header_s:g} s")
        else:
            self.transport.close()

    def _refuse(self, status: int, phrase: str, message: str, header: str = "") -> None:
        self._stop()
        body = json.dumps({"error": message})
        head = f"HTTP/1.1 {status} {phrase}\r\n{header}Content-Type: application/json\r\nConnection: close\r\n"
        self.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        self.transport.close()
