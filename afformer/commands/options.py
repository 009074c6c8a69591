"""What commands have in common: options, and how they are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from afformer.runtime.opening import OpenOptions

DATASETS = ("camvid", "cityscapes", "ade20k", "coco-stuff")
FilePath = click.Path(path_type=Path)
Command = Callable[..., Any]


def hxw(value: str) -> tuple[int, int]:
    """`HEIGHTxWIDTH` in pixels, such as 360x480, to (height, width)."""
    height, x, width = value.lower().partition("x")
    if not (x and height.isascii() and height.isdecimal() and width.isascii() and width.isdecimal()):
        raise click.BadParameter(f"'{value}' is no size; expected HEIGHTxWIDTH in pixels, such as 360x480")
    return int(height), int(width)


def thread_counts(value: str) -> tuple[int, ...]:
    """Numbers with commas between them, such as 1,2."""
    parts = [part.strip() for part in value.split(",")]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise click.BadParameter(f"'{value}' are no thread counts; expected numbers with commas between, such as 1,2")
    return tuple(map(int, parts))


device_option = click.option(
    "--device", type=click.Choice(["cpu", "cuda"]), help="Where to run. Default: the CPU; engines of a GPU on it."
)


def open_model_options(command: Command) -> Command:
    """Options that say how a model is opened."""
    for option in reversed(
        (
            device_option,
            click.option("--threads", type=click.IntRange(0), default=0, help="CPU threads; 0 lets the engine choose."),
            click.option(
                "--fit",
                type=click.Choice(["stretch", "pad", "slide"]),
                default="stretch",
                show_default=True,
                help="Bring pictures to the input size by resizing, by resizing with padding, or in overlapping tiles.",
            ),
            click.option(
                "--size",
                type=hxw,
                help="Input size for a checkpoint, default as its data set is used; an exported model has its own.",
            ),
        )
    ):
        command = option(command)
    return command


backend_option = click.option("--backend", help="Engine to run on; by the file's ending if left out.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


def open_options_from(options: dict[str, Any]) -> OpenOptions:
    """The engine that `open_model_options` describe."""
    from afformer.runtime.backends.base import Device
    from afformer.runtime.opening import OpenOptions
    from afformer.runtime.preprocess import Fit

    return OpenOptions(
        backend=options.get("backend"),
        device=Device(options["device"]) if options["device"] else None,
        threads=options["threads"],
        fit=Fit(options["fit"]),
        input_hw=options["size"],
    )
