"""The programs in examples/, as tests load and run them."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run_program(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: object) -> None:
    """Runs a program as `python examples/NAME ARGUMENTS` does."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def load_program(name: str) -> dict[str, Any]:
    """The names that a program defines, without its being run."""
    return runpy.run_path(str(EXAMPLES / name), run_name=name)
