"""Ranges as a file that people can read and edit.

    {
      "format": 1,
      "method": "average",
      "symmetric": false,
      "pictures": 64,
      "pictures_sha256": "...",
      "model_sha256": "...",
      "ranges": {
        "conv2d": [-3.25, 4.5],
        ...
      }
    }

One tensor a line, in the order of the graph. The digests cover what the ranges were made from and not the ranges, so a
file that was edited by hand stays valid until the pictures, the model or the method change.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from afformer.errors import QuantizeError
from afformer.files import replacing
from afformer.quantize.observers import Method
from afformer.quantize.ranges import Range, Ranges

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Source:
    """What ranges were made from.

    Attributes:
        method: How they were chosen.
        symmetric: Whether for a target with zero point 0.
        pictures: Number of pictures.
        pictures_sha256: Hex digest of the picture set.
        model_sha256: Hex digest of the float model's file.
    """

    method: Method
    symmetric: bool
    pictures: int
    pictures_sha256: str
    model_sha256: str

    def difference(self, other: Source) -> str | None:
        """Why ranges made from `other` are not those of this source, or None if they are."""
        if self.model_sha256 != other.model_sha256:
            return "the model has changed"
        if self.pictures_sha256 != other.pictures_sha256:
            return f"the pictures have changed ({other.pictures} then, {self.pictures} now)"
        if (self.method, self.symmetric) != (other.method, other.symmetric):
            return f"they were made by {_how(other)}, not by {_how(self)}"
        return None


@dataclasses.dataclass(frozen=True)
class Cached:
    """What a cache file gave.

    Attributes:
        ranges: The ranges, or None if they cannot be used.
        reason: One clause that says why they can or cannot.
    """

    ranges: Ranges | None
    reason: str


def save(path: Path, ranges: Ranges, source: Source) -> None:
    """Writes ranges, in the order given.

    Raises:
        OutputError: The file cannot be written.
    """
    header = {"format": FORMAT, **dataclasses.asdict(source), "method": source.method.value}
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in header.items()]
    rows = [f"    {json.dumps(name)}: [{r.low!r}, {r.high!r}]" for name, r in ranges.items()]
    text = "\n".join(["{", *lines, '  "ranges": {', ",\n".join(rows), "  }", "}", ""])
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def load(path: Path, source: Source, tensors: Sequence[str]) -> Cached:
    """Reads ranges, if they are those of `source`.

    Args:
        path: The cache file; it may be missing.
        source: What the ranges must have been made from.
        tensors: Tensors whose ranges are needed; others in the file are left out.

    Raises:
        QuantizeError: The file is no cache of ours, or a mistake was made in editing it.
    """
    if not path.exists():
        return Cached(None, "there is no cache yet")
    ranges, made_from = _read(path)
    difference = source.difference(made_from)
    if difference is not None:
        return Cached(None, difference)
    missing = [name for name in tensors if name not in ranges]
    if missing:
        return Cached(None, f"it lacks {len(missing)} tensors, {missing[0]} among them")
    return Cached({name: ranges[name] for name in tensors}, "same model, pictures and method")


def _read(path: Path) -> tuple[Ranges, Source]:
    remedy = "correct it, or delete it to calibrate again"
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields["format"] != FORMAT:
            raise QuantizeError(f"{path}: is of format {fields['format']}, expected {FORMAT}; delete it")
        made_from = Source(
            Method(fields["method"]),
            bool(fields["symmetric"]),
            int(fields["pictures"]),
            str(fields["pictures_sha256"]),
            str(fields["model_sha256"]),
        )
        entries = dict(fields["ranges"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise QuantizeError(f"{path}: is no readable calibration cache ({error!r}); {remedy}") from error
    ranges = {}
    for name, ends in entries.items():
        try:
            low, high = ends
            ranges[name] = Range(float(low), float(high))
        except (ValueError, TypeError) as error:
            raise QuantizeError(f"{path}: the range of '{name}' is {ends}, expected [low, high]; {remedy}") from error
    return ranges, made_from


def _how(source: Source) -> str:
    return source.method.value + (", symmetric" if source.symmetric else "")
