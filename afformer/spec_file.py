"""A spec in a file of its own, for models without one: those that somebody else exported.

The file holds the JSON object that `ModelSpec.to_json` writes. Only `input_hw` and `classes` must be there:

    {"input_hw": [512, 1024], "classes": ["road", "other"], "mean": [0, 0, 0], "std": [255, 255, 255]}
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from pathlib import Path
from typing import Any

from afformer import datasets
from afformer.errors import SpecError
from afformer.files import AnyPath, json_text, write_file
from afformer.foreign import UNREADABLE, quoted, reason
from afformer.spec import FOREIGN, InputKind, ModelSpec

_NEEDED = ("input_hw", "classes")
_NOT_COMPARED = (
    "tools",
    "checkpoint_sha256",
    "provenance",
    "variant",
    "precision",
    "target",
    "input_name",
    "output_name",
)
"""Fields that do not change what a model is fed and gives."""


def read_spec_file(path: AnyPath) -> ModelSpec:
    """Reads a spec file; what it leaves out is as in `ModelSpec`, and colours are distinct ones.

    Raises:
        SpecError: The file cannot be read, lacks what is needed, or names a field that there is not.
    """
    path = Path(path)
    try:
        fields = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SpecError(f"{path}: the spec file cannot be read ({reason(error)}); check its path") from error
    except UNREADABLE as error:
        raise SpecError(f"{path}: is not a spec file, which is JSON ({reason(error)})") from error
    problem = _problem(fields)
    if problem:
        raise SpecError(f"{path}: {problem}")
    return ModelSpec.from_json(json.dumps({**_defaults(fields), **fields}), str(path), "correct the file")


def write_spec_file(path: Path, spec: ModelSpec) -> None:
    """Writes a spec in a form that people can edit.

    Raises:
        OutputError: It cannot be written.
    """
    lines = [f"  {json.dumps(name)}: {json_text(value)}" for name, value in json.loads(spec.to_json()).items()]
    write_file(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode())


def decide_spec(text: str | None, said: ModelSpec | None, where: str) -> ModelSpec:
    """The spec of a model: its own, or the one that is said of it.

    Args:
        text: What the model has in its metadata.
        said: What the caller says of it, or None.
        where: The model's name in errors.

    Raises:
        SpecError: There is none, it cannot be read, or the two contradict each other.
    """
    if text is None and said is not None:
        return said
    own = ModelSpec.from_metadata(text, where)
    for field in dataclasses.fields(ModelSpec) if said else ():
        ours, theirs = getattr(own, field.name), getattr(said, field.name)
        if ours != theirs and field.name not in _NOT_COMPARED and theirs is not None:
            raise SpecError(
                f"{where}: has a spec of its own, in which {field.name} is {quoted(_plain(ours))}, but `spec` says "
                f"{quoted(_plain(theirs))}; leave `spec` out, or export the model again"
            )
    return own


def _problem(fields: Any) -> str | None:
    if not isinstance(fields, dict):
        return "is not a spec file, which holds one JSON object"
    missing = [name for name in _NEEDED if name not in fields]
    if missing:
        return f"lacks {' and '.join(missing)}; `afformer-cli inspect MODEL --write-spec FILE` starts a spec file"
    if not isinstance(fields["classes"], list) or not fields["classes"]:
        return f"classes is {quoted(fields['classes'])}, expected a list of names"
    known = _known()
    for name in fields:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, 1)
            hint = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
            return f"has a field {quoted(name)}, which no spec has{hint}"
    return None


def _known() -> list[str]:
    return ["spec_version", "layout", *(field.name for field in dataclasses.fields(ModelSpec))]


def _defaults(fields: dict[str, Any]) -> dict[str, Any]:
    """Of what the file leaves out."""
    look = datasets.generic(len(fields["classes"]))
    spec = ModelSpec(FOREIGN, (1, 1), look.classes, look.palette)
    layout = "NHWC" if fields.get("input") == InputKind.UINT8.value else "NCHW"
    return {**json.loads(spec.to_json()), "layout": layout}


def _plain(value: Any) -> Any:
    return getattr(value, "value", value)
