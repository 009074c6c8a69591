"""What is fuzzed. A new reader is a `Target` in a file of its own, and its name here."""

from __future__ import annotations

import dataclasses
import importlib
import random
from collections.abc import Callable
from pathlib import Path

Mutation = Callable[[bytes, random.Random], bytes]

NAMES = (
    "checkpoints",
    "resume_files",
    "models",
    "specs",
    "engine_files",
    "ranges",
    "class_names",
    "pictures",
    "labels",
    "videos",
    "http_bodies",
)
"""Modules beside this one; each has a `TARGET`."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A reader of files that others made.

    Attributes:
        run: Reads a file; may end in an `AfformerError` and in nothing else.
        seeds: Files to start from: good ones of every form, and all that ever broke the reader.
        inside: A change that keeps the form whole, so that it gets past checks of lengths and sums; or None.
        packages: What is watched for new paths by the engine that can.
        suffix: What the files' names end in.
    """

    run: Callable[[Path], None]
    seeds: Callable[[], list[bytes]]
    inside: Mutation | None
    packages: tuple[str, ...]
    suffix: str


def target(name: str) -> Target:
    """The target of that name."""
    found: Target = importlib.import_module(f"tests.fuzz.{name}").TARGET
    return found
