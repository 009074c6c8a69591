"""What a model file says about itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from afformer.runtime.backends.base import input_tensor, output_tensor
from afformer.runtime.backends.registry import backend_name
from afformer.runtime.opening import DEFAULT, OpenOptions
from afformer.spec import ModelSpec
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
    if (open_options.backend or backend_name(model)) == "tensorrt":
        require_engine(model)
        info = EngineInfo.beside(model)
        return info.spec, f"{info.library.title} {info.version}, for {info.gpu or 'no GPU in particular'}"
    with open_options.open_backend(model) as backend:
        return backend.spec, backend.description
