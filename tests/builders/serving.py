"""A running server for tests, on a free port of this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import uvicorn

from afformer.files import AnyPath
from afformer.runtime.backends.base import Array, Backend
from afformer.runtime.opening import OpenOptions
from afformer.serve.app import make_app, make_state
from afformer.serve.options import ModelFile, ServeOptions
from afformer.serve.server import make_server
from afformer.serve.state import ServerState
from afformer.spec import ModelSpec
from tests.builders.fake_backend import FakeBackend


@dataclasses.dataclass(frozen=True)
class Running:
    """A server that takes requests."""

    port: int
    state: ServerState
    server: uvicorn.Server
    client: httpx.Client

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        """A bare connection, for what no HTTP client would send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def send(self, data: bytes) -> bytes:
        """Sends bytes and reads what comes until the server closes the connection."""
        with self.connect() as connection:
            connection.sendall(data)
            return read_all(connection)


class Gate:
    """A model that answers when it is let: its class map says how bright each pixel is."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.entered = threading.Semaphore(0)
        self._open = threading.Event()
        self._open.set()
        self.backends: list[FakeBackend] = []

    def shut(self) -> None:
        """Keeps the next call waiting."""
        self._open.clear()
        while self.entered.acquire(blocking=False):
            pass

    def open(self) -> None:
        self._open.set()

    def wait_until_entered(self) -> None:
        assert self.entered.acquire(timeout=20)

    def backend(self) -> FakeBackend:
        plain = FakeBackend(self.spec)

        def answer(image: Array) -> Array:
            self.entered.release()
            assert self._open.wait(timeout=60)
            return plain.run(image)

        self.backends.append(FakeBackend(self.spec, answer))
        return self.backends[-1]


@dataclasses.dataclass(frozen=True)
class FakeOpenOptions(OpenOptions):
    """Opens what `make` makes, whatever the file."""

    make: Callable[[], Backend] = dataclasses.field(kw_only=True)

    def open_backend(self, model: AnyPath) -> Backend:
        return self.make()


def read_all(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            received += part
    return received


@contextlib.contextmanager
def running(models: Mapping[str, Path], options: ServeOptions | None = None) -> Iterator[Running]:
    """Serves models in a thread until the end of the block."""
    options = options or ServeOptions()
    state = make_state({name: ModelFile(path) for name, path in models.items()}, options)
    state.repository.open_all()
    server = make_server(make_app(state), options)
    state.ending = lambda: server.should_exit
    with listening(server) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield Running(port, state, server, client)


@contextlib.contextmanager
def listening(server: uvicorn.Server) -> Iterator[int]:
    """Runs a server in a thread until the end of the block; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.005)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
