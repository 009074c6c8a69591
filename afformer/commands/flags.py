"""Parameter names in the library's messages, as the command line spells them.

The library names a parameter between backticks: "raise `max_drop`". For a command with an option of that name, the user
reads the option: "raise --max-drop".
"""

from __future__ import annotations

import re

import click

_PARAMETER = re.compile(r"`([a-z][a-z0-9_]*)`")


def with_flags(message: str, command: click.Command | None) -> str:
    """The message with a command's options in place of its parameters; other words between backticks stay.

    Args:
        message: What the library says.
        command: The command that was run; None leaves the message as it is.
    """
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)] if command else []
    flags = {option.name: max(option.opts, key=len) for option in options}
    return _PARAMETER.sub(lambda found: flags.get(found[1], found[0]), message)
