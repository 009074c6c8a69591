"""ONNX files of this package: the model with the spec in its metadata."""

from __future__ import annotations

from pathlib import Path

import onnx

from afformer.errors import BackendError
from afformer.files import CHECKPOINT_SUFFIXES
from afformer.foreign import reason
from afformer.spec import METADATA_KEY, ModelSpec


def read_onnx_file(path: Path) -> tuple[onnx.ModelProto, ModelSpec]:
    """Reads a model and its spec.

    Raises:
        BackendError: The file does not exist, or is not an ONNX model.
        SpecError: It has no readable spec.
    """
    model = load_onnx(path)
    return model, spec_of(model, str(path))


def load_onnx(path: Path) -> onnx.ModelProto:
    """Reads a model, with or without a spec.

    Raises:
        BackendError: The file does not exist, or is not an ONNX model.
    """
    if not path.is_file():
        raise BackendError(f"{path}: no such model file")
    if path.suffix.lower() in CHECKPOINT_SUFFIXES:
        raise BackendError(
            f"{path}: is a checkpoint, not an ONNX model; export it first: "
            f"`afformer-cli export {path} -o {path.with_suffix('.onnx')} --size HEIGHTxWIDTH`"
        )
    try:
        return onnx.load(path)
    except Exception as error:  # onnx passes on whatever protobuf and the system raise
        raise BackendError(f"{path}: cannot be read as an ONNX model ({reason(error)}); export it again") from error


def spec_of(model: onnx.ModelProto, where: str) -> ModelSpec:
    """The spec in a model's metadata; `where` names the file in errors.

    Raises:
        SpecError: There is none, or it cannot be read.
    """
    text = next((entry.value for entry in model.metadata_props if entry.key == METADATA_KEY), None)
    return ModelSpec.from_metadata(text, where)


def write_spec(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Puts the spec into a model's metadata, in place of the one that was there."""
    for entry in [entry for entry in model.metadata_props if entry.key == METADATA_KEY]:
        model.metadata_props.remove(entry)
    model.metadata_props.add(key=METADATA_KEY, value=spec.to_json())
