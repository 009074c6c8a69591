"""An ONNX model of batch 1 for any batch, so that Triton can gather requests.

An exported graph says its batch in three places only: at its ends, in the shapes of Reshape, and in the sizes of
Resize. A shape that begins with 0 takes that length over from what is reshaped; sizes of some axes leave the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime

from afformer.errors import ExportError
from afformer.runtime.backends.base import input_tensor, output_tensor
from afformer.spec import ModelSpec

_BATCH = "batch"
_PROVEN = 3
"""Pictures of the batch that is compared."""


def free_batch(model: Path, target: Path, spec: ModelSpec) -> None:
    """Writes a model for any batch, and proves that it gives each picture what the original gives.

    Raises:
        ExportError: The model's batch is not 1, or it says its batch elsewhere in the graph.
    """
    if spec.batch != 1:
        raise ExportError(
            f"{model}: has a fixed batch of {spec.batch}; export it with `batch=1` for batches of any size"
        )
    proto = onnx.load(model)
    for node in list(proto.graph.node):
        if node.op_type == "Reshape":
            _free_reshape(proto.graph, node)
        elif node.op_type == "Resize" and len(node.input) > 3 and node.input[3]:
            _free_resize(proto.graph, node)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = _BATCH
    del proto.graph.value_info[:]
    onnx.save(proto, target)
    _prove(model, target, spec)


def _free_reshape(graph: Any, node: Any) -> None:
    """Has the first length taken over, where it is the batch."""
    _replace(graph, node, 1, lambda shape: np.concatenate([[0], shape[1:]]) if shape[0] == 1 else shape)
    kept = [attribute for attribute in node.attribute if attribute.name != "allowzero"]  # with it, 0 would mean nothing
    del node.attribute[:]
    node.attribute.extend(kept)


def _free_resize(graph: Any, node: Any) -> None:
    """Names the axes that are resized; the first, the batch, is left out."""
    if any(attribute.name == "axes" for attribute in node.attribute):
        return
    sizes = _replace(graph, node, 3, lambda sizes: sizes[1:])
    node.attribute.append(onnx.helper.make_attribute("axes", list(range(1, len(sizes)))))


def _replace(graph: Any, node: Any, index: int, change: Any) -> Any:
    """Gives a node another constant in the place of one; returns the old values."""
    old = next((i for i in graph.initializer if i.name == node.input[index]), None)
    if old is None:
        raise ExportError(f"{node.op_type} {node.output[0]}: its shape is computed; Triton's batches need a fixed one")
    values = onnx.numpy_helper.to_array(old)
    name = f"{old.name}_of_any_batch_{node.output[0]}"
    graph.initializer.append(onnx.numpy_helper.from_array(change(values).astype(np.int64), name))
    node.input[index] = name
    return values


def _prove(model: Path, target: Path, spec: ModelSpec) -> None:
    _, shape, dtype = input_tensor(spec)
    random = np.random.default_rng(0)
    rows = (
        random.uniform(-2, 2, (_PROVEN, *shape[1:]))
        if dtype.kind == "f"
        else random.integers(0, 256, (_PROVEN, *shape[1:]))
    )
    rows = rows.astype(dtype)
    original = _session(model)
    expected = np.concatenate([_run(original, spec, row[None]) for row in rows])
    try:
        found = _run(_session(target), spec, rows)
    except Exception as error:
        raise ExportError(f"{model}: its graph holds its batch where it cannot be freed ({_line(error)})") from error
    same = found.shape == expected.shape and (
        np.allclose(found, expected, rtol=1e-3, atol=1e-3)
        if found.dtype.kind == "f"
        else (found == expected).mean() > 0.999
    )
    if not same:
        raise ExportError(f"{model}: pictures of a batch get other answers than alone; leave `max_batch` out")


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is told in our own line
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _run(session: Any, spec: ModelSpec, rows: Any) -> Any:
    return session.run([output_tensor(spec).name], {input_tensor(spec).name: rows})[0]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
