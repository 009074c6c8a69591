"""`afformer-cli infer`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from afformer import assets
from afformer.commands.options import (
    CommaList,
    FilePath,
    ModelFile,
    backend_option,
    enum_option,
    json_option,
    open_model_options,
)
from afformer.commands.report import exit_with, print_json, progress_bar
from afformer.runtime.choices import Colours, Regions
from afformer.runtime.opening import OpenOptions
from afformer.streams.choices import Codec, Output
from afformer.wording import count

if TYPE_CHECKING:
    from afformer.streams.segment import SegmentReport

_SIGNAL_CODES = {"INTERRUPTED": 130, "TERMINATED": 143}
"""Exit codes by how the flow ended, as in shells."""
_FILES = {output.name.lower().replace("_", "-"): output for output in Output}
_WRITTEN = (*_FILES, "video", "jsonl")
_FOLDER = "afformer-output"
_FILE_SUFFIXES = frozenset(
    f".{name}"
    for name in [
        "png",
        "jpg",
        "jpeg",
        "webp",
        "bmp",
        "tif",
        "tiff",
        "npy",
        "json",
        "jsonl",
        "mp4",
        "m4v",
        "mov",
        "mkv",
        "avi",
    ]
)
"""Suffixes by which `-o` names a file."""
_LISTED = 6
"""Written files that are listed; the rest are only counted."""


@click.command()
@click.argument("arguments", type=str, nargs=-1, required=True, metavar="[MODEL] SOURCE...")
@click.option(
    "-o", "--out", type=FilePath, help=f"Folder to write into, or the file of one picture or video. Default: {_FOLDER}"
)
@click.option(
    "--write",
    "outputs",
    type=CommaList(_WRITTEN),
    metavar=f"[{'|'.join(_WRITTEN)}]",
    multiple=True,
    help="What to write; commas or repeated. Default: overlay and mask of pictures, one video of anything that moves.",
)
@click.option("--show", is_flag=True, help="Open a window. q: quit, space: pause or next, s: screenshot, l: legend.")
@click.option(
    "--smooth",
    type=click.IntRange(1, 255),
    default=1,
    help="A pixel changes its class after this many frames in a row.",
)
@click.option("--fps", type=float, help="Frame rate of the video, for sources without one, such as pictures.")
@enum_option("--codec", of=Codec, default=Codec.H264, help="Codec of the annotated video.")
@click.option("--legend", is_flag=True, help="Draw a legend.")
@click.option(
    "--opacity", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Opacity of the colours in overlays."
)
@click.option("--outlines/--no-outlines", default=True, help="Draw lines between classes in overlays.")
@click.option("--names/--no-names", default=True, help="Write class names on the larger regions of overlays.")
@enum_option(
    "--colors",
    "colours",
    of=Colours,
    default=Colours.AUTO,
    help="Colours of overlays: distinct ones, the data set's palette, or ones that the colour-blind tell apart, too.",
)
@enum_option(
    "--regions",
    of=Regions,
    default=Regions.NONE,
    help="Where classes are, in JSON: as COCO's polygons or run lengths.",
)
@backend_option
@open_model_options
@json_option
def infer(
    *,
    arguments: tuple[str, ...],
    out: Path | None,
    outputs: tuple[tuple[str, ...], ...],
    show: bool,
    smooth: int,
    fps: float | None,
    codec: Codec,
    legend: bool,
    opacity: float,
    outlines: bool,
    names: bool,
    colours: Colours,
    regions: Regions,
    open_options: OpenOptions,
    as_json: bool,
) -> None:
    """Segment SOURCE with MODEL, or with the bundled tiny-camvid (street scenes) if MODEL is left out.

    SOURCE is a picture, a video, several, a folder, a pattern such as 'frames/*.jpg', a sequence such as
    frame_%04d.png, the number of a camera, /dev/video*, a URL, or - for stdin.
    """
    from afformer.streams.segment import OutputOptions, segment_pictures

    model, source = _model_and_source(arguments, open_options.backend)
    written = tuple(name for names in outputs for name in names)
    to_stdout = out is None and set(written) == {"jsonl"}
    if to_stdout and as_json:
        raise click.UsageError("--json and --write jsonl would both write to stdout; name a folder with -o")
    if out is None and not to_stdout and (written or not show):
        out = Path(_FOLDER)
    file = out if out is not None and out.suffix.lower() in _FILE_SUFFIXES and not out.is_dir() else None
    folder = out.parent if out is not None and file else out
    output_options = OutputOptions(
        outputs=tuple(_FILES[name] for name in written if name in _FILES),
        video="video" in written,
        json_lines="jsonl" in written,
        file=file,
        show=show,
        legend=legend,
        opacity=opacity,
        outlines=outlines,
        names=names,
        colours=colours,
        smooth=smooth,
        fps=fps,
        codec=codec,
        regions=regions,
    )
    with progress_bar() as progress:
        on_progress = functools.partial(progress, "segmenting")
        result = segment_pictures(
            model, source, folder, output_options=output_options, open_options=open_options, on_progress=on_progress
        )
    if as_json:
        print_json(result.to_json())
    elif not to_stdout:  # else stdout is for the lines
        _print_summary(result)
    failures = [str(frame.content) for frame in result.flow.failures]
    noun = "picture" if set(result.counts) == {"picture"} else "input"
    exit_with(failures, noun=noun, signal_code=_SIGNAL_CODES.get(result.flow.ending.name, 0))


def _model_and_source(arguments: tuple[str, ...], backend: str | None) -> tuple[Path, tuple[str, ...]]:
    """What runs, and what is segmented: without a model, the bundled one, which is announced on stderr."""
    from afformer.runtime.backends.registry import check_backend

    first, *rest = arguments
    if backend:
        check_backend(backend)
    if _is_model(first) or (not _is_source(first) and (backend or rest)):
        if not rest:
            raise click.UsageError(f"name what to segment with {first}: afformer-cli infer {first} PICTURE -o DIR")
        return ModelFile.convert(first, None, None), tuple(rest)
    for other in filter(_is_model, rest):
        sources = " ".join(argument for argument in arguments if argument != other)
        raise click.UsageError(f"the model comes first: afformer-cli infer {other} {sources}")
    click.echo(f"model: {assets.NAME}, which is bundled; name another one before the pictures", err=True)
    return assets.MODEL, arguments


def _is_model(argument: str) -> bool:
    from afformer.runtime.backends.registry import model_suffixes

    return argument == assets.NAME or Path(argument).suffix.lower() in model_suffixes()


def _is_source(argument: str) -> bool:
    """Whether this can only be meant as a source."""
    from afformer.streams.sources import names_source

    return names_source(argument)


def _print_summary(result: SegmentReport) -> None:
    for path in result.written[:_LISTED]:
        click.echo(path)
    if len(result.written) > _LISTED:
        click.echo(f"and {count(len(result.written) - _LISTED, 'more file')}")
    flow = result.flow
    rate = f", {flow.frames / flow.seconds:.1f} a second" if flow.seconds else ""
    dropped = f", {flow.dropped} dropped" if flow.dropped else ""
    done = " and ".join(count(number, noun) for noun, number in result.counts.items()) or count(0, "picture")
    click.echo(f"{done} on {result.backend}{rate}{dropped}")
