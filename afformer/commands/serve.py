"""`afformer-cli serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from afformer.commands.options import FilePath, backend_option, open_model_options, open_options_from
from afformer.extras import requires_extra


@click.command()
@click.argument("models", nargs=-1, metavar="[[NAME=]MODEL]...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Copies of each model.")
@click.option(
    "--max-wait",
    type=click.FloatRange(0, 1000),
    default=2,
    show_default=True,
    help="Milliseconds to wait for a full batch.",
)
@click.option(
    "--queue", type=click.IntRange(1), default=64, show_default=True, help="Requests that may wait for a model."
)
@click.option(
    "--deadline", type=click.FloatRange(0.001), default=30, show_default=True, help="Seconds to answer within."
)
@click.option("--connections", type=click.IntRange(1), default=256, show_default=True, help="Open at a time.")
@click.option("--max-body", type=click.IntRange(1), default=32, show_default=True, help="MiB of a request.")
@click.option("--max-pixels", type=click.IntRange(1), default=40, show_default=True, help="Millions, of a picture.")
@click.option("--max-memory", type=click.IntRange(1), default=1024, show_default=True, help="MiB of requests held.")
@click.option("--api-key-file", type=FilePath, help="File with the API key. Default: AFFORMER_API_KEY, or no key.")
@backend_option
@open_model_options
def serve(models: tuple[str, ...], host: str, port: int, api_key_file: Path | None, **options: Any) -> None:
    """Serve MODELs over HTTP: a page to try them on, /v1/segment for pictures, Open Inference Protocol v2 for tensors.

    Without a MODEL, the bundled one is served. SIGTERM and Ctrl-C end the server after what it has accepted.
    """
    with requires_extra("serve"):
        import uvicorn  # noqa: F401 - only to name what is missing

        from afformer.serve.options import Limits, ServeOptions, named_models, read_api_key
        from afformer.serve.server import log_as_json
        from afformer.serve.server import serve as run

    limits = Limits(
        body=options["max_body"] << 20,
        pixels=options["max_pixels"] * 1_000_000,
        connections=options["connections"],
        queue=options["queue"],
        memory=options["max_memory"] << 20,
        deadline_s=options["deadline"],
    )
    serve_options = ServeOptions(
        host=host,
        port=port,
        workers=options["workers"],
        max_wait_s=options["max_wait"] / 1000,
        open_options=open_options_from(options),
        limits=limits,
        api_key=read_api_key(api_key_file),
    )
    log_as_json()
    run(named_models(models), serve_options, started=lambda url: click.echo(f"Serving on {url}"))
