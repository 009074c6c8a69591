"""`afformer-cli compare`."""

from __future__ import annotations

from pathlib import Path

import click

from afformer.commands.options import FilePath, ModelFile, html_option, json_option, open_model_options
from afformer.commands.report import exit_with, print_json, progress_bar
from afformer.runtime.opening import OpenOptions


@click.command()
@click.argument("a", type=ModelFile)
@click.argument("b", type=ModelFile)
@click.option("--images", type=FilePath, required=True, help="Folder of pictures.")
@open_model_options
@html_option
@json_option
def compare(*, a: Path, b: Path, images: Path, open_options: OpenOptions, html: Path | None, as_json: bool) -> None:
    """Compare B with A on pictures: pixel agreement, and mIoU with A as the truth.

    A and B are model files or checkpoints; a checkpoint is run at the other model's size.
    """
    from afformer.measure.comparison import compare_models

    with progress_bar() as progress:
        found = compare_models(a, b, images, open_options=open_options, html=html, progress=progress)
    print_json(found.to_json()) if as_json else click.echo(found.to_table())
    exit_with([failure.reason for failure in found.failures])
