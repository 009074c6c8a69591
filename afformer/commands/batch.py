"""`afformer-cli batch`."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from afformer.batch.choices import BatchOptions, Masks
from afformer.commands.options import ModelFile, backend_option, enum_option, json_option, open_model_options
from afformer.commands.report import exit_with, print_json, progress_bar
from afformer.extras import requires_extra
from afformer.runtime.opening import OpenOptions
from afformer.wording import count


@click.command()
@click.argument("model", type=ModelFile)
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("-o", "--out", "folder", required=True, metavar="DIR|URL", help="Folder of the results, or its URL.")
@enum_option("--masks", of=Masks, default=Masks.PARQUET, help="Where masks go: a column, PNG files under masks/, both.")
@click.option("--address", help="The Ray cluster: auto, or HOST:PORT. Default: one on this machine, for this run.")
@click.option("--workers", type=click.IntRange(1), help="Most workers. Default: one a CPU (--threads) or GPU.")
@click.option("--part-size", type=click.IntRange(1), default=256, show_default=True, help="Most pictures of a file.")
@click.option("--path-column", default="path", show_default=True, help="Of Parquet sources: paths or URLs.")
@click.option("--bytes-column", default="bytes", show_default=True, help="Of Parquet sources: bytes of picture files.")
@click.option("--retry-errors", is_flag=True, help="Try pictures again that an earlier run could not use.")
@backend_option
@functools.partial(open_model_options, checkpoints=False)
@json_option
def batch(
    *,
    model: Path,
    sources: tuple[str, ...],
    folder: str,
    masks: Masks,
    address: str | None,
    workers: int | None,
    part_size: int,
    path_column: str,
    bytes_column: str,
    retry_errors: bool,
    open_options: OpenOptions,
    as_json: bool,
) -> None:
    """Segment millions of pictures with MODEL on a Ray cluster, or on all CPUs of this machine.

    SOURCE is a folder, a picture, a pattern, a text file with a path or URL a line (- is stdin), or a Parquet file with
    paths or with the pictures' bytes; folders and files may be behind a URL such as s3://BUCKET/FOLDER. A picture that
    cannot be used is a row with an error. The same command again does what is missing.
    """
    with requires_extra("ray"):
        from afformer.batch.segment_many import segment_many

    options = BatchOptions(masks, address, workers, part_size, path_column, bytes_column, retry_errors)
    with progress_bar() as progress:
        report = segment_many(model, sources, folder, options=options, open_options=open_options, on_progress=progress)
    if as_json:
        print_json(report.to_json())
    else:
        before = f", {report.already_done} done before" if report.already_done else ""
        rate = f", {report.segmented / report.seconds:.1f} a second" if report.segmented else ""
        click.echo(f"{count(report.segmented, 'picture')} on {count(len(report.nodes), 'node')}{rate}{before}")
        click.echo(f"results are in {report.folder}")
    exit_with(report.errors, failed=report.failed)
