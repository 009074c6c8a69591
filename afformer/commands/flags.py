"""The library names its parameters in backquotes; the command shows the flags that its user types.

    `max_drop` must be 0 or more, got -1    ->    --max-drop must be 0 or more, got -1
    try `method=mse`                        ->    try --method mse

Commands call their parameters what the library calls them, so a name alone finds its flag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import click

_PARAMETER = re.compile(r"`(?P<name>[a-z]\w*)(?:=(?P<value>[^`]*))?`")
_FLAGS = {
    "folder": "--out",
    "json_lines": "--write jsonl",
    "library": "--rtx",
    "overlay": "--write overlay",
    "video": "--write video",
}
"""Of parameters that have no option of their own name."""


def with_flags(text: str, command: click.Command, others: Iterable[click.Command] = ()) -> str:
    """The text with flags for the parameters that it names; what is not a parameter stays as it is.

    Args:
        text: What the library says.
        command: The command that runs.
        others: Commands whose parameters are meant where this one has none of that name, and a value is given: "export
            it with `output=logits`".
    """
    own = {parameter.name: _typed(parameter) for parameter in command.params}
    foreign = {parameter.name: _typed(parameter) for other in others for parameter in other.params}

    def flag(found: re.Match[str]) -> str:
        name, value = found["name"], (found["value"] or "").strip("'\"")
        known = own.get(name) or (foreign.get(name) if value else None)
        if known is None:
            return _FLAGS.get(name, found[0])
        return known if value in ("", "True") else f"{known} {value}"

    return _PARAMETER.sub(flag, text)


def _typed(parameter: click.Parameter) -> str:
    """`--max-drop` for an option, `MODEL` for an argument."""
    return parameter.human_readable_name if isinstance(parameter, click.Argument) else max(parameter.opts, key=len)
