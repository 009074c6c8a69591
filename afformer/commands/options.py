"""Options that commands share, and how options are read."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from afformer import assets
from afformer.datasets import DATASETS, LabelOptions
from afformer.model.choices import AS_THE_FILE_SAYS, CheckpointOptions, Weights
from afformer.runtime.choices import Device, Fit
from afformer.runtime.opening import OpenOptions
from afformer.spec import Channels, ColorOrder

FilePath = click.Path(path_type=Path)
Command = Callable[..., Any]
Decorator = Callable[[Command], Command]
E = TypeVar("E", bound=enum.Enum)


class BundledOrFile(click.ParamType):  # type: ignore[type-arg] # generic in new versions of click only
    """A file, or the name of what is bundled: a file of that name comes first."""

    name = "file"

    def __init__(self, bundled: Path) -> None:
        self._bundled = bundled

    def convert(self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path that is meant."""
        return assets.file_or_bundled(value, self._bundled)


ModelFile = BundledOrFile(assets.MODEL)
CheckpointFile = BundledOrFile(assets.CHECKPOINT)


class CommaList(click.ParamType):  # type: ignore[type-arg] # generic in new versions of click only
    """Choices separated by commas, for options that may be repeated as well."""

    name = "list"

    def __init__(self, choices: Iterable[str]) -> None:
        self._choice = click.Choice(list(choices))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The choices that are named, in that order."""
        parts = value if isinstance(value, tuple) else str(value).split(",")
        return tuple(str(self._choice.convert(part.strip(), param, ctx)) for part in parts)


def hxw(value: str) -> tuple[int, int]:
    """`HEIGHTxWIDTH` in pixels, such as 360x480, to (height, width)."""
    height, x, width = value.lower().partition("x")
    if not (x and height.isascii() and height.isdecimal() and width.isascii() and width.isdecimal()):
        raise click.BadParameter(f"'{value}' is not a size; expected HEIGHTxWIDTH in pixels, such as 360x480")
    return int(height), int(width)


def thread_counts(value: str) -> tuple[int, ...]:
    """Numbers separated by commas, such as 1,2."""
    parts = [part.strip() for part in value.split(",")]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise click.BadParameter(f"'{value}' is not a list of thread counts; expected numbers such as 1,2")
    return tuple(map(int, parts))


def enum_option(*names: str, of: Iterable[E], default: E | None = None, help: str | None = None) -> Decorator:
    """An option whose choices are the values of enum members, and whose value is the member."""
    members = {str(member.value): member for member in of}

    def member(context: click.Context, option: click.Parameter, value: str | None) -> E | None:
        return None if value is None else members[value]

    return click.option(
        *names,
        type=click.Choice(list(members)),
        default=None if default is None else str(default.value),
        show_default=default is not None,
        callback=member,
        help=help,
    )


device_option = enum_option(
    "--device", of=Device, help="Where to run. Default: cpu; TensorRT engines run on their GPU."
)
backend_option = click.option("--backend", help="Backend to run on. Default: the one for the file's suffix.")
size_option = click.option(
    "--size",
    "input_hw",
    type=hxw,
    help="Input size of a checkpoint, by default that of its data set; an exported model has its own.",
)
spec_option = click.option(
    "--spec", type=FilePath, metavar="FILE.json", help="What an ONNX model without a spec is; see inspect --write-spec."
)
dataset_option = click.option(
    "--dataset", type=click.Choice(list(DATASETS)), help="Label convention. Default: the model's own data set."
)
html_option = click.option("--html", type=FilePath, help="HTML report to write, with pictures.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


def read_labels_options(command: Command) -> Command:
    """Options that say how label files are read; the command gets `dataset` and `label_options`."""
    decorated: Command = dataset_option(label_ids_options(command))
    return decorated


def label_ids_options(command: Command) -> Command:
    """Options that say what the ids in label files mean; the command gets them as `label_options`."""

    @functools.wraps(command)
    def with_label_options(
        *args: Any, label_offset: int | None, label_map: Path | None, ignore_label: tuple[int, ...], **others: Any
    ) -> Any:
        return command(*args, label_options=LabelOptions(label_offset, label_map, ignore_label), **others)

    options = (
        click.option(
            "--label-offset",
            type=int,
            help="Number added to an id to give its class: -1 for labels that count from 1; 0 for ids as they are.",
        ),
        click.option(
            "--label-map", type=FilePath, help="Text file, one line per id: the id and its class, or 'ignore'."
        ),
        click.option("--ignore-label", type=int, multiple=True, help="Another id to ignore; may be repeated."),
    )
    decorated: Command = with_label_options
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def channels(value: str) -> Channels:
    """Three numbers separated by commas, such as 123.675,116.28,103.53."""
    try:
        first, second, third = (float(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter(
            f"'{value}' is not three numbers; expected something like 123.675,116.28,103.53"
        ) from error
    return first, second, third


def checkpoint_options(*, with_dataset: bool = False) -> Decorator:
    """Options that override a checkpoint's file or fill its gaps; the command gets them as `said`."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_said(
            *args: Any,
            mean: Channels | None,
            std: Channels | None,
            channel_order: ColorOrder | None,
            weights: Weights,
            classes: Path | None,
            palette: Path | None,
            threshold: float | None,
            **others: Any,
        ) -> Any:
            dataset = others.pop("dataset") if with_dataset else None
            said = CheckpointOptions(mean, std, channel_order, weights, dataset, classes, palette, threshold)
            return command(*args, said=said, **others)

        decorated: Command = with_said
        for option in reversed(_CHECKPOINT_OPTIONS):
            decorated = option(decorated)
        return decorated

    return decorate


_CHECKPOINT_OPTIONS = (
    click.option(
        "--mean", type=channels, help="A checkpoint's mean, 0..255, in its channel order. Default: the file's."
    ),
    click.option("--std", type=channels, help="A checkpoint's standard deviation, in the same form."),
    enum_option("--channel-order", of=ColorOrder, help="Order of its input channels. Default: the file's."),
    enum_option(
        "--weights",
        of=Weights,
        default=Weights.AUTO,
        help="Which weights, if a file has several; auto: the moving average if there is one.",
    ),
    click.option("--classes", type=FilePath, help="File of its class names: one per line, or JSON."),
    click.option("--palette", type=FilePath, help="File of its colours: r g b or #rrggbb per line, JSON or .npy."),
    click.option("--threshold", type=float, help="Sigmoid above which a one-channel head means foreground."),
)


def open_model_options(command: Command, *, checkpoints: bool = True, runs: bool = True) -> Command:
    """Options that say how a model is opened; the command gets them as `open_options`.

    Args:
        command: The command.
        checkpoints: Whether its model may be a checkpoint.
        runs: Whether it segments pictures with it; one that only looks at it is told its data set, too.
    """

    @functools.wraps(command)
    def with_open_options(
        *args: Any,
        spec: Path | None,
        device: Device | None = None,
        threads: int = 0,
        fit: Fit = Fit.STRETCH,
        input_hw: tuple[int, int] | None = None,
        said: CheckpointOptions = AS_THE_FILE_SAYS,
        backend: str | None = None,
        **others: Any,
    ) -> Any:
        open_options = OpenOptions(backend, device, threads, fit, input_hw, said, spec)
        return command(*args, open_options=open_options, **others)

    special = (*(_RUN_OPTIONS if runs else (dataset_option,)), *((size_option,) if checkpoints else ()))
    options = (device_option, *special, spec_option)
    decorated: Command = with_open_options
    if checkpoints:
        decorated = checkpoint_options(with_dataset=not runs)(decorated)
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


_RUN_OPTIONS = (
    click.option("--threads", type=click.IntRange(0), default=0, help="CPU threads; 0: the backend chooses."),
    enum_option(
        "--fit",
        of=Fit,
        default=Fit.STRETCH,
        help="How pictures are brought to the input size: resized, resized and padded, or in overlapping tiles.",
    ),
)
