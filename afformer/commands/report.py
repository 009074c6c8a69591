"""How commands talk: results to stdout, progress and errors to stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from afformer.measure.evaluation import Failure

T = TypeVar("T")


def progress_bar(items: Sequence[T]) -> Iterable[T]:
    """Shows progress on stderr, and nothing where stderr is no terminal."""
    from tqdm import tqdm

    shown: Iterable[T] = tqdm(items, unit="picture", leave=False, disable=not sys.stderr.isatty())
    return shown


@contextlib.contextmanager
def frame_bar() -> Iterator[Callable[[int, int | None], None]]:
    """Shows how many frames are done on stderr, and nothing where stderr is no terminal."""
    from tqdm import tqdm

    with tqdm(unit="picture", leave=False, disable=not sys.stderr.isatty()) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


@contextlib.contextmanager
def step_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Shows one bar a step on stderr, and nothing where stderr is no terminal."""
    from tqdm import tqdm

    bar = tqdm(leave=False, disable=not sys.stderr.isatty())
    shown = ""  # a disabled bar does not know its own description

    def show(step: str, done: int, total: int) -> None:
        nonlocal shown
        if step != shown:
            shown = step
            bar.reset(total)
            bar.set_description(step, refresh=False)
        bar.update(done - bar.n)

    with bar:
        yield show


def print_json(content: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def exit_with(failures: Sequence[Failure]) -> None:
    """Reports pictures that failed, one line each, and ends with 1 if there are any."""
    for failure in failures:
        echo_error(failure.reason)
    if failures:
        echo_error(f"{count(len(failures), 'picture')} could not be used")
        sys.exit(1)


def echo_error(message: str) -> None:
    """One line on stderr, whatever characters a file's name or a library's message holds."""
    click.echo(f"Error: {' '.join(message.split())}", err=True)


def count(number: int, noun: str) -> str:
    """`1 picture`, `2 pictures`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
