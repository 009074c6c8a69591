"""`afformer-cli`: the commands, which live in `afformer.commands`.

Exit codes: 0 done, 1 an error or a picture that failed, 2 a wrong command line.
"""

from __future__ import annotations

from typing import Any

import click

from afformer.commands import engines, measures, models, pictures, serve
from afformer.commands.report import echo_error
from afformer.errors import AfformerError
from afformer.version import __version__


class Commands(click.Group):
    """A group whose commands print a user's error as one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except AfformerError as error:
            echo_error(str(error))
            ctx.exit(error.exit_code)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="afformer-cli")
def main() -> None:
    """AFFormer semantic segmentation: from a PyTorch checkpoint to low-power devices."""


for command in (
    models.export,
    models.quantize,
    engines.engine,
    models.inspect,
    models.package,
    pictures.infer,
    pictures.demo,
    measures.evaluate,
    measures.compare,
    measures.benchmark,
    engines.doctor,
    serve.serve,
):
    main.add_command(command)
