"""Which operators of a float32 graph would leave float16's range, measured on pictures.

ONNX Runtime computes float16 in float32 on CPUs, so running the converted model does not show it. What is watched here
is the float32 graph: the largest magnitude of every tensor, and of every sum of products that an operator may
accumulate in float16, for which

    |partial sum of w_i x_i|  <=  sum |w_i| |x_i|

is the bound. It is the same operator on the magnitudes of its operands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from afformer.telemetry import without_telemetry

with without_telemetry():
    import onnxruntime as ort

LARGEST = 65504.0 / 4
"""Largest magnitude on the measured pictures that float16 still gets; other pictures may exceed it."""
SMALLEST = 2.0**-14
"""A tensor that is nowhere larger than this, float16's smallest normal number, loses digits."""
_COARSEST = 2.0**-10
"""Share of its largest weight by which rounding may move a node's weights: twice what it does to normal numbers."""
PRODUCTS = ("Conv", "MatMul", "Gemm")
"""Operators that sum products."""
_PREFIX = "magnitude of "
_FATAL_ONLY = 4

Array = npt.NDArray[np.generic]


def unsafe_nodes(model: onnx.ModelProto, candidates: Collection[str], feeds: Iterable[Array]) -> dict[str, str]:
    """The nodes among the candidates that float16 would make wrong, by name, each with the reason.

    Args:
        model: A float32 model with one input; every node has a name.
        candidates: Names of the nodes to look at.
        feeds: Input tensors; taken one by one, none is kept.
    """
    weights = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.name in candidates]
    peaks = _peaks(model, nodes, weights, feeds)
    found = {}
    for node in nodes:
        tensors = [name for name in [*node.input, *node.output] if name in peaks]
        reasons = [_tensor_reason(peaks[name]) for name in tensors]
        reasons += [_weight_reason(weights[name]) for name in node.input if name in weights]
        reasons.append(_sum_reason(peaks.get(_sum_of(node), 0.0)))
        reason = next(filter(None, reasons), None)
        if reason:
            found[node.name] = reason
    return found


def _tensor_reason(peak: float) -> str | None:
    if not peak <= LARGEST:
        return f"values up to {peak:.3g}"
    return f"values no larger than {peak:.1e}" if 0 < peak < SMALLEST else None


def _sum_reason(peak: float) -> str | None:
    return None if peak <= LARGEST else f"sums of products up to {peak:.3g}"


def _weight_reason(weight: Array) -> str | None:
    if weight.dtype != np.float32 or not weight.size:
        return None
    exact = weight.astype(np.float32)
    peak = float(np.abs(exact).max())
    if not peak <= LARGEST:
        return f"weights up to {peak:.3g}"
    moved = float(np.abs(exact.astype(np.float16).astype(np.float32) - exact).max())
    return f"weights no larger than {peak:.1e}" if moved > _COARSEST * peak else None


def _peaks(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], weights: dict[str, Array], feeds: Iterable[Array]
) -> dict[str, float]:
    """The largest magnitude of every float tensor and sum of these nodes; nan where something is not finite."""
    watching, names = _watching(model, nodes, weights)
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    session = ort.InferenceSession(watching.SerializeToString(), options, providers=["CPUExecutionProvider"])
    peaks = dict.fromkeys(names, 0.0)
    for feed in feeds:
        found = session.run([_PREFIX + name for name in names], {session.get_inputs()[0].name: feed})
        peaks = {name: float(np.maximum(peaks[name], value)) for name, value in zip(names, found, strict=True)}
    return peaks


def _watching(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], weights: dict[str, Array]
) -> tuple[onnx.ModelProto, list[str]]:
    """The model with the magnitudes as its outputs, and the names of what they are of."""
    watching = onnx.shape_inference.infer_shapes(model)
    graph = watching.graph
    typed = [*graph.input, *graph.output, *graph.value_info]
    floats = {value.name for value in typed if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    names = [name for name in dict.fromkeys(n for node in nodes for n in [*node.input, *node.output]) if name in floats]
    del graph.output[:]
    magnitudes = {name: f"{name}.magnitudes" for name in names}
    graph.node.extend(helper.make_node("Abs", [name], [made]) for name, made in magnitudes.items())
    for node in nodes:
        if node.op_type in PRODUCTS and node.output[0] in magnitudes:
            graph.node.append(_on_magnitudes(node, magnitudes, weights, graph))
            magnitudes[_sum_of(node)] = _sum_of(node)
            names.append(_sum_of(node))
    for name in names:
        made = f"{_PREFIX}{name}"
        graph.node.append(helper.make_node("ReduceMax", [magnitudes[name]], [made], keepdims=0))
        graph.output.append(helper.make_tensor_value_info(made, TensorProto.FLOAT, []))
    return watching, names


def _on_magnitudes(
    node: onnx.NodeProto, magnitudes: dict[str, str], weights: dict[str, Array], graph: onnx.GraphProto
) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.name = copy.output[0] = _sum_of(node)
    for index, name in enumerate(node.input):
        if name in weights:
            copy.input[index] = f"{name}.magnitudes"
            if name not in magnitudes:
                graph.initializer.append(numpy_helper.from_array(np.abs(weights[name]), f"{name}.magnitudes"))
                magnitudes[name] = copy.input[index]
        else:
            copy.input[index] = magnitudes[name]
    return copy


def _sum_of(node: onnx.NodeProto) -> str:
    return f"{node.name}.sum"
