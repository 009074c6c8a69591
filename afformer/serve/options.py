"""Options of a server: where to listen, which models, and its limits."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path

from afformer import assets
from afformer.errors import AfformerError
from afformer.runtime.opening import OpenOptions

API_KEY_VARIABLE = "AFFORMER_API_KEY"
MOST_WORKERS = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NUMBER = re.compile(r"(?P<rest>.+),(?P<key>workers|threads)=(?P<number>[0-9]{1,9})")


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much a server takes on.

    Attributes:
        body: Bytes of a request's body, after decompression.
        pixels: Pixels of a picture.
        tiles: Tiles that a picture may need with `Fit.SLIDE`.
        connections: Open connections; one more is answered with 503 and closed.
        queue: Requests that wait for a model; one more is answered with 503.
        memory: Bytes of bodies and decoded pictures that are held at a time; beyond, requests are answered with 503.
        deadline_s: Seconds from a request's whole body to its answer.
        header_s: Seconds for a request's headers.
        body_s: Seconds for a request's body.
        write_s: Seconds in which a client must take what was sent.
        idle_s: Seconds that a connection may be idle between requests.
        drain_s: Seconds for accepted requests to be answered when the server ends.
    """

    body: int = 32 << 20
    pixels: int = 40_000_000
    tiles: int = 64
    connections: int = 256
    queue: int = 64
    memory: int = 1 << 30
    deadline_s: float = 30.0
    header_s: float = 10.0
    body_s: float = 60.0
    write_s: float = 30.0
    idle_s: float = 30.0
    drain_s: float = 60.0


@dataclasses.dataclass(frozen=True)
class ServeOptions:
    """How models are served.

    Attributes:
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        workers: Threads per model, each with a copy of the model of its own.
        max_wait_s: Seconds that a request waits for others to fill the model's batch; only for a batch above 1.
        open_options: How models are opened; their `fit` is what requests get that name none.
        limits: How much the server takes on.
        api_key: What requests must show; None asks for nothing.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    max_wait_s: float = 0.002
    open_options: OpenOptions = dataclasses.field(default_factory=OpenOptions)
    limits: Limits = dataclasses.field(default_factory=Limits)
    api_key: str | None = None


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """A model to serve.

    Attributes:
        path: Its file.
        workers: Threads with a copy each; None takes the server's.
        threads: CPU threads of each copy; None takes the server's.
    """

    path: Path
    workers: int | None = None
    threads: int | None = None

    def adapt(self, options: ServeOptions) -> ServeOptions:
        """The server's options, with those of this model."""
        threads = options.open_options.threads if self.threads is None else self.threads
        open_options = dataclasses.replace(options.open_options, threads=threads)
        return dataclasses.replace(options, workers=self.workers or options.workers, open_options=open_options)


def named_models(arguments: tuple[str, ...]) -> dict[str, ModelFile]:
    """The models to serve by name, from `MODEL` (named by its file) and `NAME=MODEL`; the bundled one if there is none.

    The bundled one is called `assets.NAME`. `,workers=N` and `,threads=N` after the file are for that model alone.

    Raises:
        AfformerError: A name that would not do in a URL or is used twice, or a number that is out of range.
    """
    models: dict[str, ModelFile] = {}
    for argument in arguments or (assets.NAME,):
        name, file = _named(argument)
        if not _NAME.fullmatch(name):
            raise AfformerError(
                f"model name '{name}': expected letters, digits, '.', '_' and '-', 100 at most; write NAME=MODEL"
            )
        if name in models:
            raise AfformerError(f"model name '{name}' is given twice; write NAME=MODEL to tell the models apart")
        models[name] = file
    return models


def _named(argument: str) -> tuple[str, ModelFile]:
    numbers: dict[str, int] = {}
    while found := _NUMBER.fullmatch(argument):
        argument, numbers[found["key"]] = found["rest"], int(found["number"])
    if numbers.get("workers", 1) not in range(1, MOST_WORKERS + 1):
        raise AfformerError(f"{argument}: workers must be 1 to {MOST_WORKERS}, got {numbers['workers']}")
    name, equals, path = argument.partition("=")
    if not equals or Path(argument).exists():
        name, path = Path(argument).stem, argument
    return name, ModelFile(assets.file_or_bundled(path), **numbers)


def read_api_key(file: Path | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The API key from a file or, without one, from the environment.

    Raises:
        AfformerError: The file cannot be read, or the key is empty, short or not printable ASCII.
    """
    where, key = (str(file), _read(file)) if file else (API_KEY_VARIABLE, environment.get(API_KEY_VARIABLE))
    if key is None:
        return None
    key = key.strip()
    if len(key) < 16 or not key.isascii() or not key.isprintable() or " " in key:
        raise AfformerError(
            f"{where}: expected an API key of at least 16 printable ASCII characters without spaces; "
            "make one with `openssl rand -hex 32`"
        )
    return key


def _read(file: Path) -> str:
    try:
        return file.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise AfformerError(f"{file}: the API key cannot be read ({error}); check the path and the file") from error
