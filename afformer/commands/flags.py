"""The library names its parameters in backquotes; the command shows the flags that its user types.

    `max_drop` must be 0 or more, got -1    ->    --max-drop must be 0 or more, got -1
    try `method=mse`                        ->    try --method mse

Commands call their parameters what the library calls them, so a name alone finds its flag.
"""

from __future__ import annotations

import re

import click

_PARAMETER = re.compile(r"`(?P<name>[a-z]\w*)(?:=(?P<value>[^`]*))?`")
_FLAGS = {"json_lines": "--write jsonl", "library": "--rtx", "video": "--write video"}
"""Of parameters that have no option of their own name."""


def with_flags(text: str, command: click.Command) -> str:
    """The text with the command's flags for the parameters that it names; what is not a parameter stays as it is."""
    options = {parameter.name: _typed(parameter) for parameter in command.params}

    def flag(found: re.Match[str]) -> str:
        name, value = found["name"], (found["value"] or "").strip("'\"")
        if name in options:
            return options[name] if value in ("", "True") else f"{options[name]} {value}"
        return _FLAGS.get(name, found[0])

    return _PARAMETER.sub(flag, text)


def _typed(parameter: click.Parameter) -> str:
    """`--max-drop` for an option, `MODEL` for an argument."""
    return parameter.human_readable_name if isinstance(parameter, click.Argument) else max(parameter.opts, key=len)
