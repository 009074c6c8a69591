"""Commands that segment pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from afformer.commands.options import FilePath, backend_option, json_option, open_model_options, open_options_from
from afformer.commands.report import count, echo_error, frame_bar, print_json

if TYPE_CHECKING:
    from afformer.streams.segment import SegmentReport

COLORS = ("auto", "dataset", "colorblind")
OUTPUTS = ("overlay", "mask", "side-by-side", "npy", "json", "video", "jsonl")
_SHOWN = 6
_INTERRUPTED = 130


@click.command()
@click.argument("model", type=FilePath)
@click.argument("source", type=str, nargs=-1, required=True)
@click.option("-o", "--out", type=FilePath, help="Folder to write into.")
@click.option(
    "--write",
    "outputs",
    type=click.Choice(OUTPUTS),
    multiple=True,
    help="What to write; may be repeated. Default: overlay and mask of pictures, one video of anything that moves.",
)
@click.option("--show", is_flag=True, help="Open a window. q: quit, space: pause or next, s: screenshot, l: legend.")
@click.option(
    "--smooth", type=click.IntRange(1, 255), default=1, help="Frames in a row that it takes to change a pixel."
)
@click.option("--fps", type=float, help="Frames a second of the video, for pictures and others that have no rate.")
@click.option("--legend", is_flag=True, help="Draw a legend.")
@click.option("--opacity", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Of overlays' colours.")
@click.option("--outlines/--no-outlines", default=True, help="Draw lines between classes in overlays.")
@click.option("--names/--no-names", default=True, help="Write class names on the larger regions of overlays.")
@click.option(
    "--colors",
    type=click.Choice(COLORS),
    default="auto",
    show_default=True,
    help="Of overlays: distinct ones, the data set's palette, or ones for the red- and green-blind, too.",
)
@backend_option
@open_model_options
@json_option
def infer(
    model: Path, source: tuple[str, ...], out: Path | None, outputs: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """Segment SOURCE with MODEL.

    SOURCE is a picture, several, a folder, a pattern such as 'frames/*.jpg', a sequence such as frame_%04d.png, a
    video, the number of a camera, /dev/video*, the URL of a stream, or - for stdin.
    """
    from afformer.runtime.drawing.colours import Colours
    from afformer.streams.segment import OutputOptions, segment_pictures
    from afformer.streams.sinks import Output

    if out is None and not options["show"] and set(outputs) != {"jsonl"}:
        raise click.UsageError("name a folder to write into with -o (or --show, or --write jsonl for lines on stdout)")
    if out is None and as_json and "jsonl" in outputs:
        raise click.UsageError("--json and --write jsonl would both write to stdout; name a folder with -o")
    output_options = OutputOptions(
        outputs=tuple(Output[name.replace("-", "_").upper()] for name in outputs if name not in ("video", "jsonl")),
        video="video" in outputs,
        json_lines="jsonl" in outputs,
        **{name: options[name] for name in ("show", "legend", "opacity", "outlines", "names", "smooth", "fps")},
        colours=Colours(options["colors"]),
    )
    with frame_bar() as seen:
        result = segment_pictures(
            model,
            source,
            out,
            output_options=output_options,
            open_options=open_options_from(options),
            on_progress=seen,
        )
    if as_json:
        print_json(result.to_json())
    elif out is not None or not output_options.json_lines:  # else stdout is for the lines
        _tell(result)
    _exit(result)


@click.command()
@click.option(
    "-o", "--out", type=FilePath, default=Path("afformer-demo"), show_default=True, help="Folder to write to."
)
def demo(out: Path) -> None:
    """Segment the bundled street pictures with the bundled model, exported here where PyTorch is installed."""
    from afformer import assets
    from afformer.commands.demo_model import demo_model
    from afformer.files import make_folder
    from afformer.streams.segment import OutputOptions, segment_pictures
    from afformer.streams.sinks import Output

    make_folder(out)
    model = demo_model(out, click.echo)
    output_options = OutputOptions((Output.OVERLAY, Output.MASK, Output.SIDE_BY_SIDE), legend=True)
    result = segment_pictures(model, assets.pictures(), out, output_options=output_options)
    click.echo(f"segmented {count(len(result.pictures), 'picture')} on {result.backend}; look at")
    for path in result.written:
        click.echo(f"  {path}")


def _tell(result: SegmentReport) -> None:
    for path in result.written[:_SHOWN]:
        click.echo(path)
    if len(result.written) > _SHOWN:
        click.echo(f"and {count(len(result.written) - _SHOWN, 'more file')}")
    flow = result.flow
    rate = f", {flow.frames / flow.seconds:.1f} a second" if flow.seconds else ""
    dropped = f", {flow.dropped} dropped" if flow.dropped else ""
    click.echo(f"{count(flow.frames, 'picture')} on {result.backend}{rate}{dropped}")


def _exit(result: SegmentReport) -> None:
    failures = result.flow.failures
    for frame in failures:
        echo_error(str(frame.content))
    if failures:
        echo_error(f"{count(len(failures), 'picture')} could not be used")
    if result.flow.interrupted:
        sys.exit(_INTERRUPTED)
    if failures:
        sys.exit(1)
