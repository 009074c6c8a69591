"""`afformer-cli train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from afformer.commands.options import FilePath, enum_option, hxw, json_option, label_ids_options
from afformer.commands.report import print_json, print_warning, progress_bar
from afformer.datasets import DATASETS, LabelOptions, by_name
from afformer.runtime.choices import Device

if TYPE_CHECKING:
    from afformer.datasets import Dataset
    from afformer.train.curve import Check

Share = click.FloatRange(0, 1)


@click.command()
@click.argument("data", type=FilePath)
@click.option("-o", "--out", type=FilePath, help="The .pth or .safetensors checkpoint to write.")
@click.option("--names", type=FilePath, help="Text file of your own class names, one per line, id 0 first.")
@click.option("--dataset", type=click.Choice(list(DATASETS)), help="A known data set, instead of --names.")
@label_ids_options
@click.option("--variant", type=click.Choice(["tiny", "small", "base"]), default="tiny", show_default=True)
@click.option("--init", type=FilePath, help="Checkpoint to start from; default: random weights.")
@click.option("--epochs", type=click.FloatRange(0, min_open=True), default=400, show_default=True, help="Budget.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Budget in time instead of epochs.")
@click.option("--batch", type=click.IntRange(1), default=16, show_default=True, help="Pictures per step.")
@click.option("--crop", "crop_hw", type=hxw, default="360x480", show_default=True, help="Size of training crops.")
@click.option("--lr", type=click.FloatRange(0, min_open=True), default=2e-3, show_default=True, help="Peak rate.")
@click.option(
    "--averaging",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.999,
    show_default=True,
    help="Moving average of the weights: share of the old.",
)
@click.option(
    "--scale",
    type=float,
    nargs=2,
    default=(0.6, 2.2),
    show_default=True,
    metavar="MIN MAX",
    help="Range of random scaling.",
)
@click.option("--flip/--no-flip", default=True, help="Swap left and right at random.")
@click.option("--paste", type=Share, default=0.5, show_default=True, help="Share of pictures with pasted objects.")
@click.option("--sky", type=Share, default=0.35, show_default=True, help="Share of pictures with another sky.")
@click.option("--shadow", type=Share, default=0.3, show_default=True, help="Share of pictures with a shadow.")
@click.option("--colour", type=click.FloatRange(0), default=1.0, show_default=True, help="Strength of colour changes.")
@enum_option("--device", of=Device, default=Device.CPU, help="Where to train.")
@click.option("--bfloat16/--float32", default=None, help="Number format. Default: bfloat16 on cuda, float32 on cpu.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--checks", type=click.IntRange(1), default=20, show_default=True, help="How often to validate and save.")
@click.option(
    "--stop-after", type=click.IntRange(1), metavar="CHECK", help="Stop after this one; the same command goes on."
)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Threads that read pictures.")
@click.option(
    "--memory-gb",
    type=click.FloatRange(0),
    default=8.0,
    show_default=True,
    help="Pictures up to this size are kept in memory; more are read for every batch.",
)
@click.option("--sheet", type=FilePath, help="Write a sheet of changed pictures and labels instead of training.")
@json_option
def train(
    *,
    data: Path,
    out: Path | None,
    names: Path | None,
    dataset: str | None,
    label_options: LabelOptions,
    variant: str,
    init: Path | None,
    epochs: float,
    minutes: float | None,
    batch: int,
    crop_hw: tuple[int, int],
    lr: float,
    averaging: float,
    scale: tuple[float, float],
    flip: bool,
    paste: float,
    sky: float,
    shadow: float,
    colour: float,
    device: Device,
    bfloat16: bool | None,
    seed: int,
    checks: int,
    stop_after: int | None,
    workers: int,
    memory_gb: float,
    sheet: Path | None,
    as_json: bool,
) -> None:
    """Train a network on DATA, a folder with images/ and labels/, alone or in train/ and val/.

    A run that was interrupted goes on when the same command is given again.
    """
    target = out or sheet
    if target is None or (out and sheet):
        raise click.UsageError("name the checkpoint to write with -o, or a picture with --sheet")
    labels = label_options.applied(_labels(names, dataset))
    from afformer.extras import requires_extra

    with requires_extra("train"):
        from afformer.train.options import Changes, TrainOptions
        from afformer.train.run import Watch
        from afformer.train.train_model import train_model, write_sheet

    options = TrainOptions(
        variant=variant,
        init=init,
        epochs=epochs,
        minutes=minutes,
        batch=batch,
        crop_hw=crop_hw,
        lr=lr,
        averaging=averaging,
        bfloat16=bfloat16,
        device=device,
        seed=seed,
        checks=checks,
        stop_after=stop_after,
        workers=workers,
        memory_gb=memory_gb,
        changes=Changes(scale=scale, flip=flip, paste=paste, sky=sky, shadow=shadow, colour=colour),
    )
    with progress_bar() as progress:
        if out is None:
            write_sheet(data, target, labels, options, Watch(progress, warned=print_warning))
            click.echo(f"wrote {target}: changed pictures, each with its label drawn over it beside")
            return
        watch = Watch(progress, _silent if as_json else _tell, print_warning)
        report = train_model(data, out, labels, options, watch)
    if as_json:
        print_json(report.to_json())
        return
    click.echo(f"wrote {out}, and its curve of loss and mIoU as {report.curve.name}")
    click.echo(f"next: afformer-cli export {out} -o {out.with_suffix('.onnx')} --size HEIGHTxWIDTH")


def _labels(names: Path | None, dataset: str | None) -> Dataset:
    from afformer.datasets.names_file import read_names

    if names is not None and dataset is None:
        return read_names(names)
    if dataset is not None and names is None:
        return by_name(dataset)
    raise click.UsageError("say what the labels mean: your own classes with --names FILE, or --dataset NAME")


def _tell(check: Check) -> None:
    click.echo(
        f"epoch {check.epoch:.5g}  loss {check.loss:.4f}  val mIoU {100 * check.miou:.2f}  "
        f"pixel accuracy {100 * check.pixel_accuracy:.2f}  {check.seconds:.0f} s"
    )


def _silent(check: Check) -> None:
    """Standard output is for the JSON object."""
