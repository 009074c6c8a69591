"""`afformer-cli package`."""

from __future__ import annotations

from pathlib import Path

import click

from afformer.commands.options import FilePath, ModelFile, json_option, spec_option
from afformer.commands.report import print_json
from afformer.wording import count


@click.command()
@click.argument("model", type=ModelFile)
@click.option("-o", "--out", "folder", type=FilePath, required=True, help="Folder to make; must be empty or missing.")
@spec_option
@json_option
def package(model: Path, folder: Path, spec: Path | None, as_json: bool) -> None:
    """Put MODEL, its spec and labels, and the C++ runtime into one folder for a device.

    MODEL is an .onnx, which runs on ONNX Runtime there (INT8: of the targets x86 and arm), or an .engine with its JSON
    beside it. The folder's README says how to build and run it.
    """
    from afformer.package import package_model

    packed = package_model(model, folder, spec)
    if as_json:
        print_json(packed.to_json())
        return
    click.echo(f"packed {count(len(packed.files), 'file')}, {packed.bytes / 1e6:.1f} MB; read {folder / 'README.md'}")
