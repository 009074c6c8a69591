"""What a model file says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from afformer.runtime.backends.base import input_tensor, output_tensor
from afformer.runtime.backends.registry import backend_name
from afformer.runtime.opening import DEFAULT, OpenOptions
from afformer.spec import ModelSpec
from afformer.tensorrt.plan_file import EngineFile, require_plan


def inspect_model(model: Path, open_options: OpenOptions = DEFAULT) -> dict[str, Any]:
    """What a model says of itself, as plain data. A TensorRT engine is not loaded: its GPU need not be here.

    Raises:
        AfformerError: The model cannot be opened, or nothing lies beside the engine.
    """
    spec, description = _described(model, open_options)
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


def _described(model: Path, open_options: OpenOptions) -> tuple[ModelSpec, str]:
    """A model's spec, and what runs it."""
    if (open_options.backend or backend_name(model)) == "tensorrt":
        require_plan(model)
        beside = EngineFile.beside(model)
        return beside.spec, f"{beside.library.title} {beside.version}, for {beside.gpu or 'no GPU in particular'}"
    with open_options.open_backend(model) as backend:
        return backend.spec, backend.description
