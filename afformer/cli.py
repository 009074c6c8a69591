"""`afformer-cli`: the commands, which live in `afformer.commands`.

Exit codes: 0 done, 1 an error or a picture that failed, 2 a wrong command line, 130 SIGINT (Ctrl-C), 143 SIGTERM.
"""

from __future__ import annotations

import contextlib
import errno
import logging
from collections.abc import Iterator
from typing import Any

import click

from afformer.commands.batch import batch
from afformer.commands.benchmark import benchmark
from afformer.commands.compare import compare
from afformer.commands.demo import demo
from afformer.commands.doctor import doctor
from afformer.commands.engine import engine
from afformer.commands.evaluate import evaluate
from afformer.commands.export import export
from afformer.commands.flags import with_flags
from afformer.commands.infer import infer
from afformer.commands.inspect import inspect
from afformer.commands.package import package
from afformer.commands.quantize import quantize
from afformer.commands.report import print_error
from afformer.commands.serve import serve
from afformer.commands.terminal import prepare_streams
from afformer.commands.train import train
from afformer.commands.triton import triton
from afformer.errors import AfformerError
from afformer.version import __version__

_FULL = (errno.ENOSPC, errno.EDQUOT)


class _Notes(logging.Handler):
    """Prints what the library logs as lines on stderr, with the running command's flags."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one line."""
        context = click.get_current_context(silent=True)
        text = " ".join(record.getMessage().split())
        click.echo(with_flags(text, context.command) if context else text, err=True)


@contextlib.contextmanager
def _printed_notes() -> Iterator[None]:
    logger, notes = logging.getLogger("afformer"), _Notes()
    logger.addHandler(notes)
    try:
        yield
    finally:
        logger.removeHandler(notes)


class Commands(click.Group):
    """A group whose commands print a user's error as one line, with their own flags."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the program."""
        prepare_streams()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            with _printed_notes():
                return super().invoke(ctx)
        except AfformerError as error:
            command = self.commands[ctx.invoked_subcommand or ""]
            print_error(with_flags(str(error), command, self.commands.values()))
            ctx.exit(error.exit_code)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            print_error(f"{error.filename or 'stdout or a temporary file'}: {error.strerror}; make room and try again")
            ctx.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, "-V", "--version", prog_name="afformer-cli")
def main() -> None:
    """AFFormer semantic segmentation: from a PyTorch checkpoint to low-power devices."""


for command in (
    train,
    export,
    quantize,
    engine,
    inspect,
    package,
    infer,
    serve,
    triton,
    batch,
    demo,
    evaluate,
    compare,
    benchmark,
    doctor,
):
    main.add_command(command)
