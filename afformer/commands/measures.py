"""Commands that measure models."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click

from afformer.commands.options import (
    DATASETS,
    FilePath,
    backend_option,
    device_option,
    hxw,
    json_option,
    open_model_options,
    open_options_from,
    thread_counts,
)
from afformer.commands.report import exit_with, print_json, progress_bar, step_bars


@click.command()
@click.argument("model", type=FilePath)
@click.option("--images", type=FilePath, required=True, help="Folder of pictures.")
@click.option("--labels", type=FilePath, required=True, help="Folder of label files.")
@click.option("--dataset", type=click.Choice(DATASETS), help="Label convention; default: the model's own data set.")
@backend_option
@open_model_options
@json_option
def evaluate(model: Path, images: Path, labels: Path, dataset: str | None, as_json: bool, **options: Any) -> None:
    """Measure MODEL (ONNX or checkpoint) on labelled pictures: mIoU, IoU of each class, pixel accuracy."""
    from afformer.measure.models import evaluate_model

    result = evaluate_model(
        model, images, labels, dataset=dataset, open_options=open_options_from(options), progress=progress_bar
    )
    print_json(result.to_json()) if as_json else click.echo(result.to_table())
    exit_with(result.failures)


@click.command()
@click.argument("a", type=FilePath)
@click.argument("b", type=FilePath)
@click.option("--images", type=FilePath, required=True, help="Folder of pictures.")
@open_model_options
@json_option
def compare(a: Path, b: Path, images: Path, as_json: bool, **options: Any) -> None:
    """Compare B with A (ONNX or checkpoints) on pictures: pixel agreement, and mIoU with A as the truth."""
    from afformer.measure.models import compare_models

    result = compare_models(a, b, images, open_options=open_options_from(options), progress=progress_bar)
    print_json(result.to_json()) if as_json else click.echo(result.to_table())
    exit_with(result.failures)


@click.command()
@click.argument("models", type=FilePath, nargs=-1, required=True, metavar="MODEL...")
@click.option("--backend", "backends", multiple=True, help="Engine to run on; may be repeated. By the file's ending.")
@device_option
@click.option("--threads", type=thread_counts, default="0", help="CPU threads, such as 1,2; 0 lets the engine choose.")
@click.option("--size", type=hxw, help="Input size for a checkpoint; an exported model has its own.")
@click.option("--image", "picture", type=FilePath, help="Picture to segment; default: a bundled one of 1280x720.")
@click.option("--calls", type=click.IntRange(1), default=100, show_default=True, help="Calls of each that count.")
@click.option("--profile", is_flag=True, help="Show the ten dearest operators.")
@click.option("--images", type=FilePath, help="Folder of pictures for an mIoU column; needs --labels.")
@click.option("--labels", type=FilePath, help="Folder of their label files.")
@click.option("--dataset", type=click.Choice(DATASETS), help="Label convention; default: the model's own data set.")
@json_option
def benchmark(models: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Measure MODELs against the first: latency and its parts, throughput, memory, size, accuracy.

    Each model, engine and thread count runs in its own process; they take turns.
    """
    from afformer.measure.models import Labelled, benchmark_models

    if bool(options["images"]) != bool(options["labels"]):
        raise click.UsageError("--images and --labels go together: the mIoU column needs both")
    labelled = Labelled(options["images"], options["labels"], options["dataset"]) if options["images"] else None
    with step_bars() as progress:
        report = benchmark_models(
            models,
            backends=options["backends"],
            threads=options["threads"],
            device=options["device"],
            input_hw=options["size"],
            picture=options["picture"],
            calls=options["calls"],
            profile=options["profile"],
            labelled=labelled,
            seen=functools.partial(progress, "rounds"),
        )
    print_json(report.to_json()) if as_json else click.echo(report.to_table())
