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


def bottleneck(activation: str = "HardSwish") -> onnx.ModelProto:
    """What a stage's pixels go through: dense, activation, depthwise, activation, dense, residual add."""
    return parse(
        f"""
        chain (float[1, 8, 9, 10] x) => (float[1, 4, 5, 5] y) {{
            a = Conv <kernel_shape = [1, 1]> (x, w0, b0)
            b = {activation} (a)
            c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], group = 16> (b, w1)
            d = {activation} (c)
            e = Conv <kernel_shape = [1, 1]> (d, w2, b2)
            f = Add (b, e)
            y = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (f, w3)
        }}""",
        w0=(16, 8, 1, 1),
        b0=(16,),
        w1=(16, 1, 3, 3),
        w2=(16, 16, 1, 1),
        b2=(16,),
        w3=(4, 16, 3, 3),
    )


def attention() -> onnx.ModelProto:
    """A norm on tokens, a value read channels first and by a 7x7 filter, a float residual stream, a resize."""
    return parse(
        """
        attention (float[1, 16, 6, 7] x) => (float[1, 16, 12, 14] y)
        <int64[4] heads = {1, 4, 4, 42}, int64[4] map = {1, 16, 6, 7}, int64[4] size = {1, 16, 12, 14}> {
            p = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], group = 16> (x, position)
            last = Transpose <perm = [0, 2, 3, 1]> (p)
            normed = LayerNormalization <axis = -1> (last, g, b)
            first = Transpose <perm = [0, 3, 1, 2]> (normed)
            v = Conv <kernel_shape = [1, 1]> (first, value)
            split = Reshape (v, heads)
            softmax = Softmax <axis = -1> (split)
            across = Transpose <perm = [0, 1, 3, 2]> (softmax)
            similarity = MatMul (split, across)
            queried = MatMul (similarity, split)
            merged = Reshape (queried, map)
            high = Conv <kernel_shape = [7, 7], pads = [3, 3, 3, 3], group = 16> (v, filter)
            mixed = Add (merged, high)
            out = Conv <kernel_shape = [1, 1]> (mixed, projection, bias)
            stream = Add (p, out)
            y = Resize <mode = "linear", coordinate_transformation_mode = "align_corners"> (stream, , , size)
        }""",
        position=(16, 1, 3, 3),
        g=(16,),
        b=(16,),
        value=(16, 16, 1, 1),
        filter=(16, 1, 7, 7),
        projection=(16, 16, 1, 1),
        bias=(16,),
    )
