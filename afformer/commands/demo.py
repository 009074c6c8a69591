"""`afformer-cli demo`."""

from __future__ import annotations

from pathlib import Path

import click

from afformer.commands.options import FilePath
from afformer.wording import count


@click.command()
@click.option(
    "-o", "--out", type=FilePath, default=Path("afformer-demo"), show_default=True, help="Folder to write into."
)
def demo(out: Path) -> None:
    """Segment the bundled street pictures with the bundled model, exported here where PyTorch is installed."""
    from afformer import assets
    from afformer.commands.demo_model import demo_model
    from afformer.files import make_folder
    from afformer.streams.choices import Output
    from afformer.streams.segment import OutputOptions, segment_pictures

    make_folder(out)
    model = demo_model(out, click.echo)
    output_options = OutputOptions((Output.OVERLAY, Output.MASK, Output.SIDE_BY_SIDE), legend=True)
    result = segment_pictures(model, assets.pictures(), out, output_options=output_options)
    click.echo(f"segmented {count(len(result.pictures), 'picture')} on {result.backend}; look at")
    for path in result.written:
        click.echo(f"  {path}")
