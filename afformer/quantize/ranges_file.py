"""The ranges file: ranges as JSON that people can read and edit.

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

One tensor per line, in the order of the graph. The digests cover what the ranges were made from, not the ranges
themselves, so a file edited by hand stays valid until the pictures, the model or the method change.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from afformer.errors import QuantizeError
from afformer.files import replacing
from afformer.foreign import UNREADABLE, quoted, reason
from afformer.quantize.observers import Method
from afformer.quantize.ranges import Range, Ranges
from afformer.runtime.choices import Fit

FORMAT = 1
_REMEDY = "correct it, or delete it to calibrate again"


@dataclasses.dataclass(frozen=True)
class CalibrationKey:
    """What ranges were made from; ranges with the same key can be reused.

    Attributes:
        method: How they were chosen.
        symmetric: Whether for a target with zero point 0.
        pictures: Number of pictures.
        pictures_sha256: Hex digest of the picture set.
        model_sha256: Hex digest of the float model's file.
        fit: How pictures were brought to the input size; the file has it only if it is not `STRETCH`.
        batch: Pictures a call; the file has it only if there are several. Files without it, made before pictures were
            counted one by one, cannot stand in for those of such a model.
    """

    method: Method
    symmetric: bool
    pictures: int
    pictures_sha256: str
    model_sha256: str
    fit: Fit = Fit.STRETCH
    batch: int = 1

    def difference(self, other: CalibrationKey) -> str | None:
        """Why ranges made from `other` cannot stand in for these; None if they can."""
        if self.model_sha256 != other.model_sha256:
            return "the model has changed"
        if self.pictures_sha256 != other.pictures_sha256:
            return f"the pictures have changed ({other.pictures} then, {self.pictures} now)"
        if _how(self) != _how(other):
            return f"they were made by {_how(other)}, not by {_how(self)}"
        return None


@dataclasses.dataclass(frozen=True)
class Reuse:
    """Whether a ranges file can be used.

    Attributes:
        ranges: The ranges, or None if they cannot be used.
        reason: One clause that says why they can or cannot.
    """

    ranges: Ranges | None
    reason: str


def save(path: Path, ranges: Ranges, key: CalibrationKey) -> None:
    """Writes ranges, in the order given.

    Raises:
        OutputError: The file cannot be written.
    """
    header = {"format": FORMAT, **dataclasses.asdict(key), "method": key.method.value, "fit": key.fit.value}
    if key.fit is Fit.STRETCH:
        del header["fit"]
    if key.batch == 1:
        del header["batch"]
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}," for name, value in header.items()]
    rows = [f"    {json.dumps(name)}: [{r.low!r}, {r.high!r}]" for name, r in ranges.items()]
    text = "\n".join(["{", *lines, '  "ranges": {', ",\n".join(rows), "  }", "}", ""])
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def load(path: Path, key: CalibrationKey, tensors: Sequence[str]) -> Reuse:
    """Reads ranges, if they were made from the same things.

    Args:
        path: The ranges file; it may be missing.
        key: What the ranges must have been made from.
        tensors: Tensors whose ranges are needed; others in the file are left out.

    Raises:
        QuantizeError: The file is not a ranges file, or was edited wrongly.
    """
    if not path.exists():
        return Reuse(None, "there was no ranges file")
    made_from, entries = _read(path)
    ranges = {name: _range(path, name, ends) for name, ends in entries.items()}
    if difference := key.difference(made_from):
        return Reuse(None, difference)
    missing = [name for name in tensors if name not in ranges]
    if missing:
        return Reuse(None, f"it lacks {len(missing)} tensors, among them {missing[0]}")
    return Reuse({name: ranges[name] for name in tensors}, "same model, pictures and method")


def _read(path: Path) -> tuple[CalibrationKey, Mapping[str, Any]]:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields["format"] != FORMAT:
            raise QuantizeError(f"{path}: has format {quoted(fields['format'])}, expected {FORMAT}; delete it")
        key = CalibrationKey(
            Method(fields["method"]),
            bool(fields["symmetric"]),
            int(fields["pictures"]),
            str(fields["pictures_sha256"]),
            str(fields["model_sha256"]),
            Fit(fields.get("fit", Fit.STRETCH.value)),
            int(fields.get("batch", 1)),
        )
        return key, dict(fields["ranges"])
    except (OSError, *UNREADABLE) as error:
        raise QuantizeError(f"{path}: cannot be read as a ranges file ({reason(error)}); {_REMEDY}") from error


def _range(path: Path, name: str, ends: Any) -> Range:
    try:
        low, high = ends
        return Range(float(low), float(high))
    except UNREADABLE as error:
        raise QuantizeError(
            f"{path}: the range of {quoted(name)} is {quoted(ends)}, expected [low, high]; {_REMEDY}"
        ) from error


def _how(key: CalibrationKey) -> str:
    fit = "" if key.fit is Fit.STRETCH else f", fit {key.fit.value}"
    counted = "" if key.batch == 1 else f", picture by picture in batches of {key.batch}"
    return key.method.value + (", symmetric" if key.symmetric else "") + fit + counted
