"""Small graphs as text, and what tests do with graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort

from afformer.quantize.ranges import Range, Ranges

Array = npt.NDArray[Any]


def parse(text: str, **weights: tuple[int, ...] | Array) -> onnx.ModelProto:
    """A model from ONNX text; weights are arrays, or shapes to be filled at random."""
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]>\n{text}')
    random = np.random.default_rng(0)
    for name, value in weights.items():
        array = value if isinstance(value, np.ndarray) else random.normal(size=value).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    for node in model.graph.node:
        node.name = f"{node.output[0]}/{node.op_type}"
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model: onnx.ModelProto, seed: int = 0, *names: str) -> Array:
    """The model's output (or the tensors named) for a random input."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = session.get_inputs()[0]
    image = np.random.default_rng(seed).normal(size=feed.shape).astype(np.float32)
    answer: Array = session.run(None, {feed.name: image})[0]
    return answer


def observed(model: onnx.ModelProto, seeds: int = 4) -> Ranges:
    """The true ranges of all float tensors over some random inputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    floats = [v for v in inferred if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT]
    copy.graph.output.extend(floats)
    session = ort.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
    feed = session.get_inputs()[0]
    ranges: Ranges = {}
    for seed in range(seeds):
        image = np.random.default_rng(seed).normal(size=feed.shape).astype(np.float32)
        found = dict(zip([o.name for o in session.get_outputs()], session.run(None, {feed.name: image}), strict=True))
        for name, values in {**found, feed.name: image}.items():
            old = ranges.get(name, Range(0, 0))
            ranges[name] = Range(min(old.low, float(values.min())), max(old.high, float(values.max())))
    return ranges


def operators(model: onnx.ModelProto) -> list[str]:
    """Operator types in order."""
    return [node.op_type for node in model.graph.node]


def noise(model: onnx.ModelProto, reference: onnx.ModelProto) -> float:
    """Root mean square of the difference, relative to the reference's standard deviation."""
    want = run(reference)
    return float(np.sqrt(np.mean((run(model) - want) ** 2)) / want.std())
