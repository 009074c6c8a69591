"""`afformer-cli quantize`."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from afformer.commands.options import (
    FilePath,
    ModelFile,
    enum_option,
    json_option,
    open_model_options,
    read_labels_options,
)
from afformer.commands.report import exit_with, print_text, progress_bar
from afformer.datasets import LabelOptions
from afformer.quantize.choices import MAX_DROP, Method, Target
from afformer.runtime.opening import OpenOptions


@click.command()
@click.argument("model", type=ModelFile)
@click.option("--calibration", type=FilePath, required=True, help="Folder of pictures like those the model will see.")
@click.option("-o", "--out", type=FilePath, help="The INT8 file to write. Default: MODEL with .int8 in its name.")
@enum_option("--target", of=Target, default=Target.X86, help="What the INT8 model is made for.")
@enum_option("--method", of=Method, default=Method.PERCENTILE, help="How ranges are chosen.")
@click.option(
    "--max-drop",
    type=click.FloatRange(0),
    default=MAX_DROP,
    show_default=True,
    help="Points of mIoU (without labels: of pixels) that it may lose; inf: any.",
)
@click.option("--val-images", type=FilePath, help="Folder of pictures to measure on. Default: those of --calibration.")
@click.option("--val-labels", type=FilePath, help="Folder of their labels. Default: the float model is the truth.")
@read_labels_options
@click.option("--pictures", type=click.IntRange(1), default=64, show_default=True, help="Calibration pictures to use.")
@click.option(
    "--weight-bits",
    type=click.Choice(["7", "8"]),
    help="Default: 7 (or more) for x86, so that processors without VNNI give the same answer; 8 for the others.",
)
@click.option("--budget", type=click.IntRange(1), help="Candidates that the search may score.")
@click.option("--allow-drop", is_flag=True, help="Accept a larger drop.")
@click.option("--allow-slower", is_flag=True, help="Accept a model that is not faster than float on this machine.")
@click.option("--backend", help="Backend to measure on. Default: openvino for target generic, else onnxruntime.")
@functools.partial(open_model_options, checkpoints=False)
@json_option
def quantize(
    *,
    model: Path,
    calibration: Path,
    out: Path | None,
    target: Target,
    method: Method,
    max_drop: float,
    val_images: Path | None,
    val_labels: Path | None,
    dataset: str | None,
    label_options: LabelOptions,
    pictures: int,
    weight_bits: str | None,
    budget: int | None,
    allow_drop: bool,
    allow_slower: bool,
    open_options: OpenOptions,
    as_json: bool,
) -> None:
    """Quantize MODEL to INT8, and measure what that costs in accuracy and gains in speed over float.

    A validation picture that cannot be used is reported and left out; the exit code is then 1.
    """
    from afformer.quantize.options import QuantizeOptions
    from afformer.quantize.quantize_model import quantize_model
    from afformer.quantize.search import BUDGET

    options = QuantizeOptions(
        target=target,
        method=method,
        max_drop=max_drop,
        allow_drop=allow_drop,
        allow_slower=allow_slower,
        budget=budget or BUDGET,
        weight_bits=int(weight_bits) if weight_bits else None,
        pictures=pictures,
    )
    out = out or model.with_name(f"{model.stem}.int8.onnx")
    with progress_bar(lines=True) as progress:
        report = quantize_model(
            model,
            out,
            calibration,
            options=options,
            val_images=val_images,
            val_labels=val_labels,
            dataset=dataset,
            label_options=label_options,
            open_options=open_options,
            progress=progress,
        )
    if as_json:
        click.echo(report.to_json())
    else:
        print_text(report.summary())
        click.echo(f"wrote {out}, and all figures to {out.with_suffix('.report.html')}")
    exit_with([failure.reason for failure in report.failures])
