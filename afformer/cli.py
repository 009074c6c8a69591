"""`afformer-cli`: each command parses, imports what it needs, calls one function of `afformer.pipeline` and reports.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 an error or a picture that failed, 2 a wrong
command line.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from afformer import __version__
from afformer.errors import AfformerError

if TYPE_CHECKING:
    from afformer.evaluation import Failure
    from afformer.pipeline import Engine

T = TypeVar("T")
DATASETS = ("camvid", "cityscapes", "ade20k", "coco-stuff")
OUTPUTS = ("overlay", "mask", "side-by-side", "npy", "json")


def hxw(value: str) -> tuple[int, int]:
    """`HEIGHTxWIDTH` in pixels, such as 360x480, to (height, width)."""
    height, x, width = value.lower().partition("x")
    if not (x and height.isascii() and height.isdecimal() and width.isascii() and width.isdecimal()):
        raise click.BadParameter(f"'{value}' is no size; expected HEIGHTxWIDTH in pixels, such as 360x480")
    return int(height), int(width)


class Commands(click.Group):
    """A group whose commands print a user's error as one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except AfformerError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="afformer-cli")
def main() -> None:
    """AFFormer semantic segmentation: from a PyTorch checkpoint to low-power devices."""


FilePath = click.Path(path_type=Path)
Command = Callable[..., Any]


def engine_options(command: Command) -> Command:
    """Options that say how a model is opened."""
    for option in reversed(
        (
            click.option("--backend", help="Engine to run on; by the file's ending if left out."),
            click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True),
            click.option("--threads", type=click.IntRange(0), default=0, help="CPU threads; 0 lets the engine choose."),
            click.option(
                "--fit",
                type=click.Choice(["stretch", "pad", "slide"]),
                default="stretch",
                show_default=True,
                help="Bring pictures to the input size by resizing, by resizing with padding, or in overlapping tiles.",
            ),
            click.option("--size", type=hxw, help="Input size for a checkpoint; an exported model has its own."),
        )
    ):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


@main.command()
@click.argument("checkpoint", type=FilePath)
@click.option("-o", "--out", type=FilePath, required=True, help="The .onnx file to write.")
@click.option("--size", type=hxw, required=True, help="Input size, from 64x64 up.")
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Pictures a call.")
@click.option(
    "--input",
    "input_kind",
    type=click.Choice(["float32", "uint8"]),
    default="float32",
    show_default=True,
    help="Normalised RGB, NCHW; or RGB bytes, NHWC, with the normalisation in the graph.",
)
@click.option(
    "--output",
    "output_kind",
    type=click.Choice(["logits", "classmap"]),
    default="logits",
    show_default=True,
    help="Logits at stride 8; or class ids at the input size.",
)
@click.option("--precision", type=click.Choice(["fp32", "fp16"]), default="fp32", show_default=True)
@click.option("--dataset", type=click.Choice(DATASETS), help="Class names and colours; default: what the file says.")
@click.option("--verify-images", type=FilePath, help="Folder of pictures to verify on; default: the bundled ones.")
@json_option
def export(checkpoint: Path, out: Path, as_json: bool, verify_images: Path | None, **choices: Any) -> None:
    """Turn CHECKPOINT into an ONNX model that is verified against PyTorch."""
    from afformer.pipeline import export_checkpoint, needs

    with needs("export"):
        from afformer.export.onnx import ExportOptions
    from afformer.spec import InputKind, OutputKind, Precision

    options = ExportOptions(
        input_hw=choices["size"],
        batch=choices["batch"],
        input=InputKind(choices["input_kind"]),
        output=OutputKind(choices["output_kind"]),
        precision=Precision(choices["precision"]),
        dataset=choices["dataset"],
    )
    report = export_checkpoint(checkpoint, out, options, verify_images)
    if as_json:
        print_json(report.to_json())
        return
    click.echo(f"verified against PyTorch: {report.verification.summary()}")
    click.echo(f"wrote {out}: {report.bytes / 1e6:.1f} MB, {report.nodes} nodes, in {report.seconds:.1f} s")
    click.echo(f"next: afformer-cli infer {out} PICTURE -o DIR")


@main.command()
@click.argument("model", type=FilePath)
@click.argument("source", type=str, nargs=-1, required=True)
@click.option("-o", "--out", type=FilePath, required=True, help="Folder to write into.")
@click.option(
    "--write",
    "outputs",
    type=click.Choice(OUTPUTS),
    multiple=True,
    default=("overlay", "mask"),
    show_default=True,
    help="What to write of each picture; may be repeated.",
)
@click.option("--legend", is_flag=True, help="Put a legend beside overlays.")
@click.option("--opacity", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Of overlays' colours.")
@click.option("--outlines/--no-outlines", default=True, help="Draw lines between classes in overlays.")
@engine_options
@json_option
def infer(
    model: Path, source: tuple[str, ...], out: Path, outputs: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """Segment SOURCE with MODEL: a picture, several, a folder, or a pattern such as 'frames/*.jpg'."""
    from afformer.pipeline import segment_pictures
    from afformer.runtime.sinks import Output

    chosen = [Output[name.replace("-", "_").upper()] for name in outputs]
    result = segment_pictures(
        model,
        source,
        out,
        engine=engine_of(options),
        outputs=chosen,
        legend=options["legend"],
        opacity=options["opacity"],
        outlines=options["outlines"],
        progress=progress_bar,
    )
    if as_json:
        print_json({"engine": result.engine, "pictures": result.pictures, "failures": as_dicts(result.failures)})
    else:
        for path in result.written[:6]:
            click.echo(path)
        more = f" ({len(result.written) - 6} more)" if len(result.written) > 6 else ""
        rate = len(result.pictures) / result.seconds if result.seconds else math.inf
        click.echo(f"{count(result.pictures, 'picture')} on {result.engine}, {rate:.1f} a second{more}")
    exit_with(result.failures)


@main.command()
@click.argument("model", type=FilePath)
@click.option("--images", type=FilePath, required=True, help="Folder of pictures.")
@click.option("--labels", type=FilePath, required=True, help="Folder of label files.")
@click.option("--dataset", type=click.Choice(DATASETS), help="Label convention; default: the model's own data set.")
@engine_options
@json_option
def evaluate(model: Path, images: Path, labels: Path, dataset: str | None, as_json: bool, **options: Any) -> None:
    """Measure MODEL (ONNX or checkpoint) on labelled pictures: mIoU, IoU of each class, pixel accuracy."""
    from afformer.pipeline import evaluate_model

    result = evaluate_model(model, images, labels, dataset=dataset, engine=engine_of(options), progress=progress_bar)
    print_json(result.to_json()) if as_json else click.echo(result.to_table())
    exit_with(result.failures)


@main.command()
@click.argument("a", type=FilePath)
@click.argument("b", type=FilePath)
@click.option("--images", type=FilePath, required=True, help="Folder of pictures.")
@engine_options
@json_option
def compare(a: Path, b: Path, images: Path, as_json: bool, **options: Any) -> None:
    """Compare B with A (ONNX or checkpoints) on pictures: pixel agreement, and mIoU with A as the truth."""
    from afformer.pipeline import compare_models

    result = compare_models(a, b, images, engine=engine_of(options), progress=progress_bar)
    print_json(result.to_json()) if as_json else click.echo(result.to_table())
    exit_with(result.failures)


@main.command()
@click.argument("model", type=FilePath)
@engine_options
@json_option
def inspect(model: Path, as_json: bool, **options: Any) -> None:
    """Show what MODEL says of itself: tensors, size, normalisation, classes, palette, origin."""
    from afformer.pipeline import inspect_model

    facts = inspect_model(model, engine_of(options))
    if as_json:
        print_json(facts)
        return
    spec = facts["spec"]
    click.echo(f"{model}: AFFormer-{spec['variant']}, {spec['precision']}, {facts['bytes'] / 1e6:.1f} MB")
    for kind, tensor in facts["tensors"].items():
        shape = "x".join(map(str, tensor["shape"]))
        click.echo(f"{kind:<11} {tensor['name']}: {tensor['dtype']} {shape}")
    click.echo(f"{'pixels':<11} {spec['color_order']}, mean {tuple(spec['mean'])}, std {tuple(spec['std'])}")
    click.echo(f"{'data set':<11} {spec['dataset']}, {len(spec['classes'])} classes")
    click.echo(f"{'checkpoint':<11} sha256 {spec['checkpoint_sha256'] or 'unknown'}")
    click.echo(f"{'made with':<11} {', '.join(f'{k} {v}' for k, v in spec['tools'].items()) or 'unknown'}")
    for index, (name, colour) in enumerate(zip(spec["classes"], spec["palette"], strict=True)):
        swatch = click.style("    ", bg=tuple(colour))
        click.echo(f"  {index:>3} {swatch} {name} #{colour[0]:02x}{colour[1]:02x}{colour[2]:02x}")


@main.command()
@click.option(
    "-o", "--out", type=FilePath, default=Path("afformer-demo"), show_default=True, help="Folder to write to."
)
def demo(out: Path) -> None:
    """Segment the bundled street pictures with the bundled model, exported here where PyTorch is installed."""
    from afformer import assets
    from afformer.output import make_folder
    from afformer.pipeline import demo_model, segment_pictures
    from afformer.runtime.sinks import Output

    make_folder(out)
    model = demo_model(out, click.echo)
    outputs = (Output.OVERLAY, Output.MASK, Output.SIDE_BY_SIDE)
    result = segment_pictures(model, assets.pictures(), out, outputs=outputs, legend=True, progress=progress_bar)
    click.echo(f"segmented {count(result.pictures, 'picture')} on {result.engine}; look at")
    for path in result.written:
        click.echo(f"  {path}")


def engine_of(options: dict[str, Any]) -> Engine:
    """The engine that `engine_options` describe."""
    from afformer.pipeline import Engine
    from afformer.runtime.backend import Device
    from afformer.runtime.preprocess import Fit

    return Engine(
        backend=options["backend"],
        device=Device(options["device"]),
        threads=options["threads"],
        fit=Fit(options["fit"]),
        input_hw=options["size"],
    )


def progress_bar(items: Sequence[T]) -> Iterable[T]:
    """Shows progress on stderr, and nothing where stderr is no terminal."""
    from tqdm import tqdm

    shown: Iterable[T] = tqdm(items, unit="picture", leave=False, disable=not sys.stderr.isatty())
    return shown


def print_json(content: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def as_dicts(failures: Sequence[Failure]) -> list[dict[str, str]]:
    """Failures as plain data."""
    return [{"picture": str(failure.picture), "reason": failure.reason} for failure in failures]


def exit_with(failures: Sequence[Failure]) -> None:
    """Reports pictures that failed, one line each, and ends with 1 if there are any."""
    for failure in failures:
        click.echo(f"Error: {failure.reason}", err=True)
    if failures:
        click.echo(f"Error: {count(failures, 'picture')} could not be used", err=True)
        sys.exit(1)


def count(items: Sequence[Any], noun: str) -> str:
    """`1 picture`, `2 pictures`."""
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"
