"""How commands talk: results to stdout, progress and errors to stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from afformer.commands.flags import with_flags

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int | None], None]]:
    """Shows on stderr how far each step is; nothing where stderr is not a terminal."""
    from tqdm import tqdm

    bar = tqdm(leave=False, disable=not sys.stderr.isatty())
    shown = ""  # a disabled bar does not know its own description

    def show(step: str, done: int, total: int | None) -> None:
        nonlocal shown
        if step != shown:
            shown = step
            bar.reset()
            bar.set_description(step, refresh=False)
        bar.total = total
        bar.update(done - bar.n)

    with bar:
        yield show


def print_json(content: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def print_text(text: str) -> None:
    """What the library says, with the running command's flags, on stdout."""
    click.echo(with_flags(text, click.get_current_context().command))


def print_error(message: str) -> None:
    """One line on stderr, whatever characters a file's name or a library's message holds."""
    click.echo(f"Error: {' '.join(message.split())}", err=True)


def exit_with(failures: Sequence[str], *, noun: str = "picture", interrupted: bool = False) -> None:
    """Reports what failed, one line each, and ends the command if anything did or it was interrupted."""
    for reason in failures:
        print_error(reason)
    if failures:
        print_error(f"{count(len(failures), noun)} could not be used")
    if failures or interrupted:
        sys.exit(INTERRUPTED if interrupted else 1)


def count(number: int, noun: str) -> str:
    """`1 picture`, `2 pictures`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
