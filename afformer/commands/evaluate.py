"""`afformer-cli evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from afformer.commands.options import (
    FilePath,
    ModelFile,
    backend_option,
    dataset_option,
    json_option,
    open_model_options,
)
from afformer.commands.report import exit_with, print_json, progress_bar
from afformer.runtime.opening import OpenOptions


@click.command()
@click.argument("model", type=ModelFile)
@click.option("--images", type=FilePath, required=True, help="Folder of pictures.")
@click.option("--labels", type=FilePath, required=True, help="Folder of label files.")
@dataset_option
@backend_option
@open_model_options
@json_option
def evaluate(
    *, model: Path, images: Path, labels: Path, dataset: str | None, open_options: OpenOptions, as_json: bool
) -> None:
    """Measure MODEL on labelled pictures: mIoU, IoU of each class, pixel accuracy."""
    from afformer.measure.evaluation import evaluate_model

    with progress_bar() as progress:
        found = evaluate_model(model, images, labels, dataset=dataset, open_options=open_options, progress=progress)
    print_json(found.to_json()) if as_json else click.echo(found.to_table())
    exit_with([failure.reason for failure in found.failures])
