"""The ONNX model that an engine is built from, and whether TensorRT can take it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from afformer.errors import ExportError
from afformer.export.adoption import adopted
from afformer.files import sha256
from afformer.spec import ModelSpec, Precision

_QUANTIZATION = ("QuantizeLinear", "DequantizeLinear")


@dataclasses.dataclass(frozen=True)
class OnnxModel:
    """A model in the form that goes to TensorRT.

    Attributes:
        name: Name of the file that the user gave.
        sha256: Hex digest of that file, whatever it was converted to.
        proto: The model.
        spec: Of the model.
    """

    name: str
    sha256: str
    proto: onnx.ModelProto
    spec: ModelSpec

    def converted(self, proto: onnx.ModelProto, precision: Precision) -> OnnxModel:
        """The same file's model in another precision."""
        return dataclasses.replace(self, proto=proto, spec=dataclasses.replace(self.spec, precision=precision))


def read_onnx_model(path: Path, said: ModelSpec | None = None) -> OnnxModel:
    """Reads an ONNX file of this package, or another one with what is said of it.

    Raises:
        BackendError: It does not exist, or is not an ONNX model.
        SpecError: It has no readable spec and none is said, or the two contradict each other.
    """
    proto, spec = adopted(path, said)
    return OnnxModel(path.name, sha256(path), proto, spec)


def check_onnx_model(model: OnnxModel) -> None:
    """Checks that the graph is what its spec says, in a form that TensorRT takes.

    1. Integer operators (QLinearConv, ...) belong to ONNX Runtime; TensorRT takes QuantizeLinear and DequantizeLinear.
    2. These must be symmetric: signed 8 bits, zero point 0.
    3. An INT8 model must contain such pairs, an FP16 model float16 weights, an FP32 model neither.

    Raises:
        ExportError: One of these does not hold.
    """
    name, precision = model.name, model.spec.precision
    foreign = sorted({node.op_type for node in model.proto.graph.node if _is_integer(node)})
    if foreign:
        raise ExportError(
            f"{name}: contains ONNX Runtime's own integer operators ({', '.join(foreign)}), which TensorRT does not "
            "have; quantize the float model for it: `afformer-cli quantize MODEL --target tensorrt`"
        )
    if _is_asymmetric(model.proto):
        raise ExportError(
            f"{name}: has asymmetric quantization, but TensorRT needs signed 8 bits with zero point 0; quantize the "
            "float model for it: `afformer-cli quantize MODEL --target tensorrt`"
        )
    found = _precision(model.proto)
    if found is not precision:
        raise ExportError(
            f"{name}: says that it is {precision.value}, but its graph is {found.value}; export or quantize it again"
        )


def _is_integer(node: onnx.NodeProto) -> bool:
    return node.domain == "com.microsoft" or node.op_type.startswith("QLinear") or node.op_type.endswith("Integer")


def _is_asymmetric(proto: onnx.ModelProto) -> bool:
    pairs = [node for node in proto.graph.node if node.op_type in _QUANTIZATION]
    zeros = {node.input[2] for node in pairs if len(node.input) > 2}
    values = [numpy_helper.to_array(value) for value in proto.graph.initializer if value.name in zeros]
    # a missing zero point means the unsigned 0
    return any(len(node.input) < 3 for node in pairs) or any(v.dtype != np.int8 or v.any() for v in values)


def _precision(proto: onnx.ModelProto) -> Precision:
    if any(node.op_type in _QUANTIZATION for node in proto.graph.node):
        return Precision.INT8
    has_float16 = any(weight.data_type == onnx.TensorProto.FLOAT16 for weight in proto.graph.initializer)
    return Precision.FP16 if has_float16 else Precision.FP32
