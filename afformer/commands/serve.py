"""`afformer-cli serve`."""

from __future__ import annotations

from pathlib import Path

import click

from afformer.commands.options import FilePath, backend_option, open_model_options
from afformer.extras import requires_extra
from afformer.runtime.opening import OpenOptions


@click.command()
@click.argument("models", nargs=-1, metavar="[[NAME=]MODEL[,workers=N][,threads=N]]...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 means all.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port; 0 picks a free one."
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Copies of each model.")
@click.option(
    "--max-wait-ms",
    type=click.FloatRange(0, 1000),
    default=2,
    show_default=True,
    help="How long a request waits for others to fill the batch of a model exported with one.",
)
@click.option(
    "--queue", type=click.IntRange(1), default=64, show_default=True, help="Requests that may wait for a model."
)
@click.option(
    "--deadline",
    type=click.FloatRange(0.001),
    default=30,
    show_default=True,
    help="Seconds after which a request gets 503.",
)
@click.option("--connections", type=click.IntRange(1), default=256, show_default=True, help="Open connections.")
@click.option("--max-body", type=click.IntRange(1), default=32, show_default=True, help="Largest request, MiB.")
@click.option(
    "--max-pixels", type=click.IntRange(1), default=40, show_default=True, help="Largest picture, megapixels."
)
@click.option("--max-memory", type=click.IntRange(1), default=1024, show_default=True, help="Memory for requests, MiB.")
@click.option("--api-key-file", type=FilePath, help="File with the API key. Default: AFFORMER_API_KEY, or no key.")
@backend_option
@open_model_options
def serve(
    *,
    models: tuple[str, ...],
    host: str,
    port: int,
    workers: int,
    max_wait_ms: float,
    queue: int,
    deadline: float,
    connections: int,
    max_body: int,
    max_pixels: int,
    max_memory: int,
    api_key_file: Path | None,
    open_options: OpenOptions,
) -> None:
    """Serve MODELs over HTTP: a page to try them on, /v1/segment for pictures, Open Inference Protocol v2 for tensors.

    Without a MODEL, the bundled one is served. On SIGTERM or Ctrl-C the server answers what it has accepted, then ends.
    """
    with requires_extra("serve"):
        from afformer.serve import server
        from afformer.serve.options import Limits, ServeOptions, named_models, read_api_key

    limits = Limits(
        body=max_body << 20,
        pixels=max_pixels * 1_000_000,
        connections=connections,
        queue=queue,
        memory=max_memory << 20,
        deadline_s=deadline,
    )
    options = ServeOptions(
        host=host,
        port=port,
        workers=workers,
        max_wait_s=max_wait_ms / 1000,
        open_options=open_options,
        limits=limits,
        api_key=read_api_key(api_key_file),
    )
    server.log_as_json()
    server.serve(named_models(models), options, started=lambda url: click.echo(f"Serving on {url}"))
