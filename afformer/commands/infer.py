"""`afformer-cli infer`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from afformer.commands.options import FilePath, backend_option, enum_option, json_option, open_model_options
from afformer.commands.report import count, exit_with, print_json, progress_bar
from afformer.runtime.choices import Colours
from afformer.runtime.opening import OpenOptions
from afformer.streams.choices import Codec, Output

if TYPE_CHECKING:
    from afformer.streams.segment import SegmentReport

_FILES = {output.name.lower().replace("_", "-"): output for output in Output}
_LISTED = 6
"""Written files that are named; of the others the number is told."""


@click.command()
@click.argument("model", type=FilePath)
@click.argument("source", type=str, nargs=-1, required=True)
@click.option("-o", "--out", "folder", type=FilePath, help="Folder to write into.")
@click.option(
    "--write",
    "outputs",
    type=click.Choice([*_FILES, "video", "jsonl"]),
    multiple=True,
    help="What to write; may be repeated. Default: overlay and mask of pictures, one video of anything that moves.",
)
@click.option("--show", is_flag=True, help="Open a window. q: quit, space: pause or next, s: screenshot, l: legend.")
@click.option(
    "--smooth", type=click.IntRange(1, 255), default=1, help="Frames in a row that a pixel needs to change its class."
)
@click.option("--fps", type=float, help="Frame rate of the video, for sources without one, such as pictures.")
@enum_option("--codec", of=Codec, default=Codec.H264, help="Of the video.")
@click.option("--legend", is_flag=True, help="Draw a legend.")
@click.option("--opacity", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Of overlays' colours.")
@click.option("--outlines/--no-outlines", default=True, help="Draw lines between classes in overlays.")
@click.option("--names/--no-names", default=True, help="Write class names on the larger regions of overlays.")
@enum_option(
    "--colors",
    "colours",
    of=Colours,
    default=Colours.AUTO,
    help="Of overlays: distinct ones, the data set's palette, or ones that are distinct for the colour-blind, too.",
)
@backend_option
@open_model_options
@json_option
def infer(
    *,
    model: Path,
    source: tuple[str, ...],
    folder: Path | None,
    outputs: tuple[str, ...],
    show: bool,
    smooth: int,
    fps: float | None,
    codec: Codec,
    legend: bool,
    opacity: float,
    outlines: bool,
    names: bool,
    colours: Colours,
    open_options: OpenOptions,
    as_json: bool,
) -> None:
    """Segment SOURCE with MODEL.

    SOURCE is a picture, a video, several, a folder, a pattern such as 'frames/*.jpg', a sequence such as
    frame_%04d.png, the number of a camera, /dev/video*, a URL, or - for stdin.
    """
    from afformer.streams.segment import OutputOptions, segment_pictures

    _check_places(folder, outputs, show=show, as_json=as_json)
    output_options = OutputOptions(
        outputs=tuple(_FILES[name] for name in outputs if name in _FILES),
        video="video" in outputs,
        json_lines="jsonl" in outputs,
        show=show,
        legend=legend,
        opacity=opacity,
        outlines=outlines,
        names=names,
        colours=colours,
        smooth=smooth,
        fps=fps,
        codec=codec,
    )
    with progress_bar() as progress:
        on_progress = functools.partial(progress, "frames")
        result = segment_pictures(
            model, source, folder, output_options=output_options, open_options=open_options, on_progress=on_progress
        )
    if as_json:
        print_json(result.to_json())
    elif folder is not None or not output_options.json_lines:  # else stdout is for the lines
        _print_summary(result)
    failures = [str(frame.content) for frame in result.flow.failures]
    exit_with(failures, interrupted=result.flow.interrupted)


def _check_places(folder: Path | None, outputs: tuple[str, ...], *, show: bool, as_json: bool) -> None:
    if folder is None and not show and set(outputs) != {"jsonl"}:
        raise click.UsageError("name a folder to write into with -o (or --show, or --write jsonl for lines on stdout)")
    if folder is None and as_json and "jsonl" in outputs:
        raise click.UsageError("--json and --write jsonl would both write to stdout; name a folder with -o")


def _print_summary(result: SegmentReport) -> None:
    for path in result.written[:_LISTED]:
        click.echo(path)
    if len(result.written) > _LISTED:
        click.echo(f"and {count(len(result.written) - _LISTED, 'more file')}")
    flow = result.flow
    rate = f", {flow.frames / flow.seconds:.1f} a second" if flow.seconds else ""
    dropped = f", {flow.dropped} dropped" if flow.dropped else ""
    click.echo(f"{count(flow.frames, 'picture')} on {result.backend}{rate}{dropped}")
