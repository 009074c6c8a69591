"""The ONNX file that a plan is made of: what it computes in, and whether TensorRT can take it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from afformer.errors import BackendError, ExportError
from afformer.files import sha256
from afformer.spec import METADATA_KEY, ModelSpec, Precision

_PAIR = ("QuantizeLinear", "DequantizeLinear")


@dataclasses.dataclass(frozen=True)
class Source:
    """A model, as it is handed to TensorRT.

    Attributes:
        name: Name of the file that the user gave.
        sha256: Hex digest of that file, whatever was made of it.
        model: The graph.
        spec: What the graph says of itself.
    """

    name: str
    sha256: str
    model: onnx.ModelProto
    spec: ModelSpec


def read_source(path: Path) -> Source:
    """Reads an ONNX file of this package.

    Raises:
        BackendError: It is not there, or no ONNX model.
        SpecError: It has no readable spec.
    """
    if not path.is_file():
        raise BackendError(f"{path}: no such model file")
    try:
        model = onnx.load(path)
    except Exception as error:  # onnx raises what protobuf and the system raise
        raise BackendError(f"{path}: is no ONNX model that can be read ({error}); export it again") from error
    text = next((entry.value for entry in model.metadata_props if entry.key == METADATA_KEY), None)
    return Source(path.name, sha256(path), model, ModelSpec.from_metadata(text, where=str(path)))


def with_model(source: Source, model: onnx.ModelProto, precision: Precision) -> Source:
    """The same source after its graph was brought to another precision."""
    return dataclasses.replace(source, model=model, spec=dataclasses.replace(source.spec, precision=precision))


def check_source(source: Source) -> None:
    """Whether the graph is what its spec says, in a form that TensorRT takes.

    1. Integer operators (QLinearConv, ...) are ONNX Runtime's; TensorRT wants QuantizeLinear and DequantizeLinear.
    2. TensorRT wants these symmetric: signed 8 bits, zero point 0.
    3. An INT8 model must hold such pairs, an FP16 model half-precision weights, an FP32 model neither.

    Raises:
        ExportError: It is not.
    """
    name, precision = source.name, source.spec.precision
    foreign = sorted({node.op_type for node in source.model.graph.node if _is_integer(node)})
    if foreign:
        raise ExportError(
            f"{name}: computes with ONNX Runtime's own integer operators ({', '.join(foreign)}), which TensorRT does "
            "not have; quantize the float model for it: `afformer-cli quantize MODEL --target tensorrt`"
        )
    if _is_asymmetric(source.model):
        raise ExportError(
            f"{name}: has asymmetric quantization, but TensorRT wants signed 8 bits with zero point 0; quantize the "
            "float model for it: `afformer-cli quantize MODEL --target tensorrt`"
        )
    found = _precision(source.model)
    if found is not precision:
        raise ExportError(
            f"{name}: says that it is {precision.value}, but its graph is {found.value}; export or quantize it again"
        )


def _is_integer(node: onnx.NodeProto) -> bool:
    return node.domain == "com.microsoft" or node.op_type.startswith("QLinear") or node.op_type.endswith("Integer")


def _is_asymmetric(model: onnx.ModelProto) -> bool:
    pairs = [node for node in model.graph.node if node.op_type in _PAIR]
    zeros = {node.input[2] for node in pairs if len(node.input) > 2}
    values = [numpy_helper.to_array(v) for v in model.graph.initializer if v.name in zeros]
    # without a zero point it is the unsigned 0
    return any(len(node.input) < 3 for node in pairs) or any(v.dtype != np.int8 or v.any() for v in values)


def _precision(model: onnx.ModelProto) -> Precision:
    if any(node.op_type in _PAIR for node in model.graph.node):
        return Precision.INT8
    half = any(weight.data_type == onnx.TensorProto.FLOAT16 for weight in model.graph.initializer)
    return Precision.FP16 if half else Precision.FP32
