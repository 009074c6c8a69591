"""What a model file says about itself, or a spec file about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from afformer.files import check_writable
from afformer.runtime.backends.base import input_tensor, output_tensor
from afformer.runtime.backends.registry import backend_name, check_spec
from afformer.runtime.opening import DEFAULT, OpenOptions, lacks_spec
from afformer.spec import ModelSpec
from afformer.spec_file import write_spec_file
from afformer.tensorrt.engine_info import EngineInfo, require_engine


def inspect_model(model: Path, open_options: OpenOptions = DEFAULT) -> dict[str, Any]:
    """What a model says about itself, as plain data. A TensorRT engine is not loaded: its GPU need not be here.

    Raises:
        AfformerError: The model cannot be opened, or the JSON beside an engine is missing.
    """
    spec, description = read_spec(model, open_options)
    tensors = {"input": input_tensor(spec), "output": output_tensor(spec)}
    return {
        "path": str(model),
        "bytes": model.stat().st_size,
        "engine": description,
        "tensors": {
            kind: {"name": tensor.name, "dtype": str(tensor.dtype), "shape": list(tensor.shape)}
            for kind, tensor in tensors.items()
        },
        "spec": json.loads(spec.to_json()),
    }


def read_spec(model: Path, open_options: OpenOptions = DEFAULT) -> tuple[ModelSpec, str]:
    """The spec of any model file, and a line about what runs it.

    Raises:
        AfformerError: The model cannot be opened, or the JSON beside an engine is missing.
    """
    name = open_options.backend or backend_name(model)
    if name == "tensorrt":
        check_spec(model, name, open_options.spec)
        require_engine(model)
        info = EngineInfo.beside(model)
        return info.spec, f"{info.library.title} {info.version}, for {info.gpu or 'no GPU in particular'}"
    with open_options.open_backend(model) as backend:
        return backend.spec, backend.description


def save_spec(model: Path, file: Path, open_options: OpenOptions = DEFAULT) -> tuple[OpenOptions, tuple[str, ...]]:
    """Writes a model's spec into a file; of an ONNX model without one, what its graph and the options tell.

    Args:
        model: The model.
        file: The JSON file to write.
        open_options: How the model is opened; their input size, normalisation, classes and colours are those of a model
            that does not have its own.

    Returns:
        How the model is opened with this file, and what was assumed, one sentence each.

    Raises:
        AfformerError: The model cannot be opened, or is not one that segments pictures; or the file cannot be written.
    """
    check_writable(file, [model])
    if open_options.spec is None and lacks_spec(model):
        from afformer.spec_draft import draft_spec

        draft = draft_spec(model, input_hw=open_options.input_hw, said=open_options.checkpoint)
        write_spec_file(file, draft.spec)
        drafted = OpenOptions(open_options.backend, open_options.device, open_options.threads, spec=file)
        return drafted, draft.assumed
    write_spec_file(file, read_spec(model, open_options)[0])
    return open_options, ()
