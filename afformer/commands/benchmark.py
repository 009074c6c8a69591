"""`afformer-cli benchmark`."""

from __future__ import annotations

from pathlib import Path

import click

from afformer.commands.options import (
    FilePath,
    ModelFile,
    checkpoint_options,
    device_option,
    json_option,
    read_labels_options,
    size_option,
    spec_option,
    thread_counts,
)
from afformer.commands.report import exit_with, print_json, print_text, progress_bar
from afformer.datasets import LabelOptions
from afformer.model.choices import CheckpointOptions
from afformer.runtime.choices import Device
from afformer.runtime.opening import OpenOptions


@click.command()
@click.argument("models", type=ModelFile, nargs=-1, required=True, metavar="MODEL...")
@click.option("--backend", multiple=True, help="Backend to run on; may be repeated. Default: by the file's suffix.")
@device_option
@click.option("--threads", type=thread_counts, default="0", help="CPU threads, such as 1,2; 0: the backend chooses.")
@size_option
@spec_option
@click.option("--image", "picture", type=FilePath, help="Picture to segment. Default: a bundled one of 1280x720.")
@click.option("--calls", type=click.IntRange(1), default=100, show_default=True, help="Timed calls of each model.")
@click.option("--profile", is_flag=True, help="Show the ten slowest operators.")
@click.option("--images", type=FilePath, help="Folder of labelled pictures, to add an mIoU column; needs --labels.")
@click.option("--labels", type=FilePath, help="Folder of the labels of these pictures.")
@read_labels_options
@checkpoint_options()
@json_option
def benchmark(
    *,
    models: tuple[Path, ...],
    backend: tuple[str, ...],
    device: Device | None,
    threads: tuple[int, ...],
    input_hw: tuple[int, int] | None,
    spec: Path | None,
    picture: Path | None,
    calls: int,
    profile: bool,
    images: Path | None,
    labels: Path | None,
    dataset: str | None,
    label_options: LabelOptions,
    said: CheckpointOptions,
    as_json: bool,
) -> None:
    """Measure MODELs against the first: latency and its parts, throughput, memory, size, accuracy.

    Each model, backend and thread count runs in its own process; they take turns. A
    labelled picture that cannot be used is reported and left out; the exit code is then 1.
    """
    from afformer.measure.benchmark import Labelled, benchmark_models, cases_of

    if (images is None) != (labels is None):
        raise click.UsageError("--images and --labels go together: the mIoU column needs both")
    open_options = OpenOptions(device=device, input_hw=input_hw, checkpoint=said, spec=spec)
    with progress_bar() as progress:
        report = benchmark_models(
            cases_of(models, backends=backend, threads=threads, open_options=open_options),
            picture,
            calls=calls,
            profile=profile,
            labelled=Labelled(images, labels, dataset, label_options) if images and labels else None,
            progress=progress,
        )
    print_json(report.to_json()) if as_json else print_text(report.to_table())
    exit_with([failure.reason for failure in report.failures])
