"""`afformer-cli triton`."""

from __future__ import annotations

from pathlib import Path

import click

from afformer.commands.options import FilePath, device_option, enum_option, json_option, spec_option
from afformer.commands.report import print_json
from afformer.runtime.choices import Device, Fit


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="[NAME=]MODEL[,workers=N][,threads=N]...")
@click.option("-o", "--out", "folder", type=FilePath, required=True, help="Folder to make; must be empty or missing.")
@device_option
@click.option("--workers", "instances", type=click.IntRange(1), default=1, show_default=True, help="Copies of a model.")
@click.option("--threads", type=click.IntRange(0), default=0, help="CPU threads of a copy; 0: ONNX Runtime chooses.")
@click.option(
    "--max-batch",
    type=click.IntRange(0),
    default=0,
    help="Requests that Triton may gather into one call of an ONNX model of batch 1. Default: the model's own batch.",
)
@click.option(
    "--max-wait-ms",
    type=click.FloatRange(0, 1000),
    default=2,
    show_default=True,
    help="How long a request may wait for others, with --max-batch.",
)
@click.option(
    "--pictures", is_flag=True, help="Add NAME_picture, which takes picture files; its steps need afformer in Triton."
)
@enum_option(
    "--fit",
    of=(Fit.STRETCH, Fit.PAD),
    default=Fit.STRETCH,
    help="How NAME_picture brings pictures to the input size: resized, or resized and padded.",
)
@spec_option
@json_option
def triton(
    *,
    models: tuple[str, ...],
    folder: Path,
    device: Device | None,
    instances: int,
    threads: int,
    max_batch: int,
    max_wait_ms: float,
    pictures: bool,
    fit: Fit,
    spec: Path | None,
    as_json: bool,
) -> None:
    """Write a model repository for NVIDIA's Triton Inference Server.

    A MODEL is an .onnx, or an .engine with its JSON beside it, which needs the TensorRT in Triton that built it. It is
    named by its file, or by NAME=MODEL.
    """
    from afformer.serve.options import named_models
    from afformer.triton.repository import TritonOptions, write_repository

    options = TritonOptions(device, instances, threads, max_batch, max_wait_ms, pictures, fit, spec)
    repository = write_repository(named_models(models), folder, options)
    if as_json:
        print_json(repository.to_json())
        return
    click.echo(f"{folder}: {', '.join(repository.models)}")
    click.echo(f"serve it with: tritonserver --model-repository={folder}")
