"""The rows of `peers.py` for ncnn, MNN and LiteRT: what is installed, converted and loads; and why the rest does not.

INT8 is each maker's own quantizer. ncnn's is in none of its packages, so ncnn has a row in float32 alone.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import mobile_backends
import mobile_convert

from afformer.measure.timing import Case
from afformer.runtime.opening import OpenOptions


class Failed(NamedTuple):
    """A row that cannot run."""

    name: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Sources:
    """What is converted: our export, the plain one, and the checkpoint of both at a size."""

    ours: Path
    plain: Path
    checkpoint: Path
    size: tuple[int, int]


class _Row(NamedTuple):
    """A row: the conversion that makes its model, of what, and the packages that it takes."""

    name: str
    conversion: str
    source: Path
    packages: tuple[str, ...]


def cases(
    sources: Sources, pictures: Sequence[Path], folder: Path, wanted: Callable[[str], bool]
) -> Iterator[Case | Failed]:
    """All rows, float32 before the INT8 that is made of it.

    Args:
        sources: What is converted.
        pictures: To calibrate on; without any there is no INT8.
        folder: Where models go.
        wanted: Whether a row of that name is to be made.
    """
    rows = [(row, out) for row, out in _rows(sources, folder) if pictures or row.conversion in _FLOAT]
    due = {out for row, out in rows if wanted(row.name)}
    due |= {row.source for row, out in rows if out in due}
    made: dict[Path, Case | Failed] = {}
    for row, out in rows:
        if out not in due:
            continue
        before = made.get(row.source)
        if isinstance(before, Failed):
            made[out] = before._replace(name=row.name)
        else:
            made[out] = _converted(row, out, pictures, sources)
        if wanted(row.name):
            yield made[out]


_FLOAT = ("ncnn", "mnn", "litert-ours", "litert-plain")


def _rows(sources: Sources, folder: Path) -> Iterator[tuple[_Row, Path]]:
    for of, source in (("ours", sources.ours), ("plain export", sources.plain)):
        stem = source.stem
        yield _Row(f"{of} on ncnn, float32", "ncnn", source, ("ncnn", "pnnx")), folder / f"{stem}.ncnn.param"
        mnn = folder / f"{stem}.mnn"
        yield _Row(f"{of} on MNN, float32", "mnn", source, ("MNN",)), mnn
        yield _Row(f"{of} on MNN, its INT8", "mnn-int8", mnn, ("MNN",)), folder / f"{stem}.int8.mnn"
        lite, name = folder / f"{stem}.tflite", "litert-ours" if of == "ours" else "litert-plain"
        packages = ("litert_torch", "ai_edge_litert", "ai_edge_quantizer")
        yield _Row(f"{of} on LiteRT, float32", name, sources.checkpoint, packages), lite
        for kind, conversion in (("INT8", "litert-int8"), ("INT8 with dynamic ranges", "litert-int8-dynamic")):
            yield (
                _Row(f"{of} on LiteRT, its {kind}", conversion, lite, packages),
                folder / f"{stem}.{conversion}.tflite",
            )


def _converted(row: _Row, out: Path, pictures: Sequence[Path], sources: Sources) -> Case | Failed:
    missing = [package for package in row.packages if importlib.util.find_spec(package) is None]
    if missing:
        return Failed(row.name, f"left out: the Python package {missing[0]} is not installed")
    command: list[str | Path] = [sys.executable, mobile_convert.__file__, row.conversion, row.source, out]
    command += ["--size", *map(str, sources.size), "--pictures", *pictures]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        return Failed(row.name, f"cannot be converted: {_reason(done)}")
    backend = mobile_convert.CONVERSIONS[row.conversion][0]
    return Case(out, OpenOptions(backend), mobile_backends.__name__, row.name)


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"the converter was ended by {signal.Signals(-done.returncode).name}"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {done.returncode}"
