"""`serve`: loads models and answers requests until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

import uvicorn

from afformer.errors import AfformerError
from afformer.serve.app import make_app, make_state
from afformer.serve.connections import protocol_of
from afformer.serve.observe import JsonLines
from afformer.serve.options import ModelFile, ServeOptions

_log = logging.getLogger(__name__)


def serve(
    models: Mapping[str, ModelFile], options: ServeOptions, *, started: Callable[[str], None] | None = None
) -> None:
    """Serves models until a signal ends it; accepted requests are answered first.

    Args:
        models: Model files by name; the first one is used by requests that name none.
        options: How they are served.
        started: Called with the server's URL when it takes requests.

    Raises:
        AfformerError: A model cannot be opened, or the address cannot be listened on.
    """
    with _listening(options) as listener:
        state = make_state(models, options)
        state.repository.open_all()
        server = make_server(make_app(state), options)
        state.ending = lambda: server.should_exit
        state.metrics.watch_connections(lambda: len(server.server_state.connections))
        if not options.api_key and not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
            _log.warning("anybody who reaches this address can use the server; set an API key")
        if started:
            started(_url(listener))
        with _quiet_signals():
            server.run([listener])


class _Server(uvicorn.Server):
    """Also answers those whom the system has connected, but who wait to be accepted when it stops listening."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        waiting = [client for listener in sockets or [] for client in _accepted(listener)]
        for server in self.servers:
            server.close()
        for client in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._connection, client)
        await super().shutdown(sockets)

    def _connection(self) -> asyncio.Protocol:
        kind: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def _accepted(listener: socket.socket) -> Iterator[socket.socket]:
    """All that wait. They would be reset if the listener were closed now."""
    with contextlib.suppress(OSError):  # no more of them, or no file descriptor left for them
        while True:
            yield listener.accept()[0]


def make_server(app: object, options: ServeOptions) -> uvicorn.Server:
    """An uvicorn server with our connections and our logging."""
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=protocol_of(options.limits),
        ws="none",
        loop="asyncio",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=options.limits.idle_s,  # type: ignore[arg-type]  # a delay; uvicorn means seconds
        timeout_graceful_shutdown=round(options.limits.drain_s),
    )
    return _Server(config)


def log_as_json() -> None:
    """Sends all logging to stderr, one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("afformer").handlers.clear()  # the command line's, which prints plain lines
    logging.captureWarnings(True)


@contextlib.contextmanager
def _listening(options: ServeOptions) -> Iterator[socket.socket]:
    """A socket that is bound, but refuses connections until the models are loaded."""
    where = f"{options.host}:{options.port}"
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, proto)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        raise AfformerError(f"{where}: cannot be listened on ({error}); choose another `host` or `port`") from error
    with contextlib.closing(listener):
        yield listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@contextlib.contextmanager
def _quiet_signals() -> Iterator[None]:
    """Keeps uvicorn from killing the process with the signal that ended it; here, ending is success."""

    def ignore(_: int, __: FrameType | None) -> None:
        pass

    before = {number: signal.signal(number, ignore) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
