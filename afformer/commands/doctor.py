"""`afformer-cli doctor`."""

from __future__ import annotations

import click

from afformer.commands.options import json_option
from afformer.commands.report import print_json


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Show what this machine can run, what is missing, and the lines that install it."""
    from afformer.doctor import diagnose

    diagnosis = diagnose()
    print_json(diagnosis.to_json()) if as_json else click.echo(diagnosis.to_text())
