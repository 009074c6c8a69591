"""The command line as tests run it."""

from __future__ import annotations

import subprocess
import sys

from click.testing import CliRunner, Result

from afformer import assets
from afformer.cli import main

STREET = next(path for path in assets.pictures() if "taxis" in path.name)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def run_without(modules: tuple[str, ...], *arguments: object) -> subprocess.CompletedProcess[str]:
    """A command in a fresh interpreter where the modules are not installed."""
    code = f"import sys; sys.modules.update(dict.fromkeys({modules!r})); from afformer.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def error_of(result: Result) -> str:
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Error: ")
    return lines[0]
