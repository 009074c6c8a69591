"""Results as text and as plain data."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def aligned(rows: Sequence[Sequence[str]], left: Sequence[str]) -> list[str]:
    """Lines of columns with a rule under the first row, which names them; those in `left` are aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if head in left else cell.rjust(width)
            for cell, width, head in zip(row, widths, rows[0], strict=True)
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def summarised(body: Sequence[tuple[str, str]], summary: Sequence[tuple[str, str]]) -> str:
    """Two columns; a second rule separates the summary from the rows, if there are any under the head."""
    lines = aligned([*body, *summary], left=body[0][:1])
    if len(body) > 1:
        lines.insert(len(body) + 1, lines[1])
    return "\n".join(lines)


def percent(share: float, decimals: int = 1) -> str:
    """A share, 0..1, as a percentage without its sign; a dash for nan."""
    return "-" if math.isnan(share) else f"{100 * share:.{decimals}f}"


def milliseconds(seconds: float) -> str:
    """Three significant digits: a measurement is no more precise."""
    return f"{seconds * 1e3:.3g}" if seconds < 0.1 else f"{seconds * 1e3:.0f}"


def plain(value: Any) -> Any:
    """A data class, or what it holds, for `json.dumps`: paths as text, enums as values, what is not finite as None."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
