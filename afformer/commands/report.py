"""How commands talk: results to stdout, progress and errors to stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from afformer.commands.flags import with_flags
from afformer.files import json_text
from afformer.wording import count


@contextlib.contextmanager
def progress_bar(*, lines: bool = False) -> Iterator[Callable[[str, int, int | None], None]]:
    """Shows on stderr how far each step is.

    Args:
        lines: Where stderr is not a terminal, print a line as each step begins; otherwise nothing is shown there.
    """
    from tqdm import tqdm

    terminal = sys.stderr.isatty()
    bar = tqdm(leave=False, disable=not terminal)
    shown = ""  # a disabled bar does not know its own description

    def show(step: str, done: int, total: int | None) -> None:
        nonlocal shown
        if step != shown:
            shown = step
            if lines and not terminal:
                click.echo(step, err=True)
            bar.reset()
            bar.set_description(step, refresh=False)
        bar.total = total
        bar.update(done - bar.n)

    with bar:
        yield show


def print_json(content: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    click.echo(json_text(content, indent=2, encoding=sys.stdout.encoding))


def print_text(text: str) -> None:
    """What the library says, with the running command's flags, on stdout."""
    click.echo(with_flags(text, click.get_current_context().command))


def print_warning(text: str) -> None:
    """What the library wants to be known while it works, in one line on stderr, with the running command's flags."""
    click.echo(f"Warning: {with_flags(text, click.get_current_context().command)}", err=True)


def print_error(message: str) -> None:
    """One line on stderr, whatever characters a file's name or a library's message holds."""
    click.echo(f"Error: {' '.join(message.split())}", err=True)


def exit_with(failures: Sequence[str], *, noun: str = "picture", signal_code: int = 0, failed: int = 0) -> None:
    """Reports what failed, one line each, and ends the command if anything did or a signal has come.

    Args:
        failures: Why each of them failed.
        noun: What each of them is.
        signal_code: Exit code if a signal has ended the work, else 0.
        failed: How many failed, where `failures` are only the first of them.
    """
    for reason in failures:
        print_error(with_flags(reason, click.get_current_context().command))
    if failures:
        print_error(f"{count(max(failed, len(failures)), noun)} could not be used")
    if failures or signal_code:
        sys.exit(signal_code or 1)
