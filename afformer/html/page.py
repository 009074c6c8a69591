"""Renders the Jinja2 templates of this package."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from afformer.errors import OutputError
from afformer.files import check_writable, replacing

_SUFFIXES = (".html", ".htm")
_CODE = re.compile(r"`([^`]+)`")


def percent(share: float, decimals: int = 2) -> str:
    """A share, 0..1, in percent without the sign; `-` for nan."""
    return "-" if math.isnan(share) else f"{100 * share:.{decimals}f}"


def decibels(value: float) -> str:
    """A signal-to-noise ratio; `none` if there is no noise."""
    return f"{value:.1f}\N{NO-BREAK SPACE}dB" if math.isfinite(value) else "none"


def code_spans(sentence: str) -> Markup:
    """A sentence in which words between backticks are code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(sentence))))


def render(template: str, **values: object) -> str:
    """A page as text.

    Args:
        template: Path inside this package, such as `quantize/report/page.html.jinja`.
        values: What the template shows. Everything but `Markup` is escaped.
    """
    return _ENVIRONMENT.get_template(template).render(values)


def check_page(path: Path, inputs: Iterable[Path]) -> None:
    """Refuses, before the work, a path that a page cannot be written to.

    Args:
        path: The HTML file to write.
        inputs: Files that must not be replaced.

    Raises:
        OutputError: It does not end in `.html`, is one of the inputs, or cannot be written.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise OutputError(f"{path}: the report is written as HTML; name the file .html")
    check_writable(path, inputs)


def write_page(path: Path, template: str, **values: object) -> None:
    """Renders a page into a file.

    Raises:
        OutputError: The file cannot be written.
    """
    write_text(path, render(template, **values))


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8; bytes of a file name that are not UTF-8 are escaped.

    Raises:
        OutputError: The file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("afformer", "."),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters |= {"percent": percent, "decibels": decibels, "code_spans": code_spans}
