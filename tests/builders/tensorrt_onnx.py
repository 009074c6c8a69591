"""Small models in each precision, in the forms that TensorRT takes and in those that it does not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from afformer.spec import METADATA_KEY, ModelSpec, Precision
from tests.builders.tiny_onnx import SPEC, write_tiny_onnx


def float_model(folder: Path, spec: ModelSpec = SPEC) -> Path:
    """The class is the level of brightness. Its nodes have names, as those of real exports."""
    path = write_tiny_onnx(folder / "model.onnx", spec)
    model = onnx.load(path)
    for index, node in enumerate(model.graph.node):
        node.name = f"{index}/{node.op_type}"
    onnx.save(model, path)
    return path


def int8_model(folder: Path, kind: type[np.generic] = np.int8, zero_point: int = 0, name: str = "small.onnx") -> Path:
    """The same with its convolution's weight, and the image, in 8 bits."""
    model = onnx.load(float_model(folder))
    nodes, graph = list(model.graph.node), model.graph
    conv = next(node for node in nodes if node.op_type == "Conv")
    weight = next(value for value in graph.initializer if value.name == "weight")
    values = numpy_helper.to_array(weight)
    scale = np.float32(np.abs(values).max() / 127)
    integers = np.rint(values / scale).astype(np.int8)
    zero = np.array(zero_point, kind)
    graph.initializer.remove(weight)
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in {
            "w8": integers,
            "ws": scale,
            "wz": np.array(0, np.int8),
            "xs": np.float32(0.03),
            "xz": zero,
        }.items()
    )
    before = [
        helper.make_node("DequantizeLinear", ["w8", "ws", "wz"], ["weight"], "w/DequantizeLinear"),
        helper.make_node("QuantizeLinear", [conv.input[0], "xs", "xz"], ["x8"], "x/QuantizeLinear"),
        helper.make_node("DequantizeLinear", ["x8", "xs", "xz"], ["x_back"], "x/DequantizeLinear"),
    ]
    conv.input[0] = "x_back"
    at = nodes.index(conv)
    del graph.node[:]
    graph.node.extend([*nodes[:at], *before, *nodes[at:]])
    return save(model, folder / name, Precision.INT8)


def integer_model(folder: Path) -> Path:
    """An operator on integers, as ONNX Runtime has them."""
    model = onnx.load(int8_model(folder))
    model.graph.node[0].op_type = "QLinearSigmoid"
    model.graph.node[0].domain = "com.microsoft"
    return save(model, folder / "integers.onnx", Precision.INT8, check=False)


def save(model: onnx.ModelProto, path: Path, precision: Precision, *, check: bool = True) -> Path:
    """Stamps a precision and writes."""
    if check:
        onnx.checker.check_model(model, full_check=True)
    spec = dataclasses.replace(SPEC, precision=precision)
    helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.save(model, path)
    return path


def types(model: onnx.ModelProto) -> set[int]:
    """Element types of the weights."""
    return {value.data_type for value in model.graph.initializer}


HALF = TensorProto.FLOAT16
