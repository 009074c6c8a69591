"""`afformer-cli evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from afformer.commands.options import (
    FilePath,
    ModelFile,
    backend_option,
    html_option,
    json_option,
    open_model_options,
    read_labels_options,
)
from afformer.commands.report import exit_with, print_json, print_text, progress_bar
from afformer.datasets import LabelOptions
from afformer.runtime.opening import OpenOptions


@click.command()
@click.argument("model", type=ModelFile)
@click.option("--images", type=FilePath, required=True, help="Folder of pictures.")
@click.option("--labels", type=FilePath, required=True, help="Folder of label files.")
@read_labels_options
@backend_option
@open_model_options
@html_option
@json_option
def evaluate(
    *,
    model: Path,
    images: Path,
    labels: Path,
    dataset: str | None,
    label_options: LabelOptions,
    open_options: OpenOptions,
    html: Path | None,
    as_json: bool,
) -> None:
    """Measure MODEL on labelled pictures: mIoU, IoU of each class, pixel accuracy.

    A picture that cannot be used is reported and left out; the exit code is then 1.
    """
    from afformer.measure.evaluation import evaluate_model

    with progress_bar() as progress:
        found = evaluate_model(
            model,
            images,
            labels,
            dataset=dataset,
            label_options=label_options,
            open_options=open_options,
            html=html,
            progress=progress,
        )
    print_json(found.to_json()) if as_json else print_text(found.to_table())
    exit_with([failure.reason for failure in found.failures])
