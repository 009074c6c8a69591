"""Proof that TensorRT kept the precision that was asked for: in the network it parsed, and in the engine it built.

An engine that computes in float32 although INT8 was asked for runs without complaint; it is only as large and as slow
as one that was never quantized. So the convolutions, which are nearly all of the arithmetic, are checked twice.
"""

from __future__ import annotations

import dataclasses
import json
import re
from types import ModuleType
from typing import Any

from afformer.errors import ExportError
from afformer.spec import Precision

_TENSORS = {
    Precision.INT8: re.compile(r"(?<!u)int8", re.IGNORECASE),
    Precision.FP16: re.compile(r"half|fp16", re.IGNORECASE),
}
"""Type names of tensors and weights in the engine inspector's text."""
_KERNELS = {
    Precision.INT8: re.compile(r"int8|imma|i8(?![0-9])|s8(?![0-9])", re.IGNORECASE),
    Precision.FP16: re.compile(r"half|fp16|(?<!b)f16|h884|h1688|h16816|hmma|hgemm", re.IGNORECASE),
}
"""Parts of kernel names that give away the precision."""
_ARITHMETIC = re.compile(r"conv(?!ert)|correlation|gemm|mat_?mul|matrix|fprop|[ih]mma", re.IGNORECASE)
"""Layer types and kernel names that multiply and add; Myelin calls a convolution `correlation`."""
_CONVERSION = re.compile(r"quantize|reformat|cast|noop|constant|shuffle", re.IGNORECASE)
"""Layer types that only move or convert values."""


@dataclasses.dataclass(frozen=True)
class LayerCounts:
    """How much of a parsed network is in the precision that was asked for.

    Attributes:
        layers: All layers.
        convolutions: Convolutions among them.
        asked: Convolutions in the precision that was asked for.
    """

    layers: int
    convolutions: int
    asked: int


def check_network(trt: ModuleType, network: Any, precision: Precision, name: str) -> LayerCounts:
    """Counts the convolutions of a parsed network that compute in a precision.

    An INT8 convolution reads its weight from a dequantization; TensorRT fuses the two.

    Args:
        trt: The library.
        network: The parsed network.
        precision: What was asked for.
        name: Of the model, for errors.

    Raises:
        ExportError: No convolution is in the precision that was asked for.
    """
    makers: dict[str, Any] = {}
    counted = asked = 0
    for index in range(network.num_layers):
        layer: Any = network.get_layer(index)
        if layer.type == trt.LayerType.CONVOLUTION:
            counted += 1
            asked += _convolution_precision(trt, layer, makers) is precision
        makers.update({layer.get_output(number).name: layer.type for number in range(layer.num_outputs)})
    if not asked:
        raise ExportError(
            f"{name}: {precision.value} was asked for, but TensorRT reads none of its {counted} convolutions as "
            f"{precision.value}; export or quantize the model again"
        )
    return LayerCounts(network.num_layers, counted, asked)


def _convolution_precision(trt: ModuleType, layer: Any, makers: dict[str, Any]) -> Precision:
    weight: Any = layer.get_input(1) if layer.num_inputs > 1 else None
    if weight is not None and makers.get(weight.name) == trt.LayerType.DEQUANTIZE:
        return Precision.INT8
    return Precision.FP16 if layer.get_output(0).dtype == trt.DataType.HALF else Precision.FP32


def check_engine(description: str, precision: Precision, name: str) -> int:
    """Counts the layers of a built engine that compute in a precision.

    A layer counts if it multiplies and adds, and either reads tensors of that precision, with no weights of another, or
    runs a kernel whose name says so. The bytes of a picture are not INT8, and conversions do not count.

    Args:
        description: The engine inspector's JSON for the whole engine, built with detailed profiling verbosity.
        precision: What was asked for. FP32 needs no proof: nothing makes a strongly typed network less precise.
        name: Of the model, for errors.

    Raises:
        ExportError: No layer does.
    """
    layers = [layer for layer in json.loads(description)["Layers"] if isinstance(layer, dict)]
    if precision is Precision.FP32:
        return len(layers)
    found = sum(_computes_in(precision, layer) for layer in layers)
    if not found:
        raise ExportError(
            f"{name}: {precision.value} was asked for, but none of the {len(layers)} layers of the engine that "
            f"TensorRT built computes in {precision.value}; nothing was written; this GPU may lack it"
        )
    return found


def _computes_in(precision: Precision, layer: dict[str, Any]) -> bool:
    kind, kernel = str(layer.get("LayerType", "")), str(layer.get("TacticName", ""))
    if _CONVERSION.search(kind) or not _ARITHMETIC.search(f"{kind} {kernel}"):
        return False
    if _KERNELS[precision].search(kernel):
        return True
    inputs = [tensor for tensor in layer.get("Inputs", ()) if isinstance(tensor, dict)]
    weights = layer.get("Weights")
    weight_type = str(weights.get("Type", "")) if isinstance(weights, dict) else ""
    if weight_type and not _TENSORS[precision].search(weight_type):
        return False
    return any(_TENSORS[precision].search(str(tensor.get("Format/Datatype", ""))) for tensor in inputs)
