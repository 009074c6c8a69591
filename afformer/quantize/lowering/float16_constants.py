"""Large constant matrices stored as float16.

The low-pass filters' pooling and interpolation matrices are a tenth of an INT8 file. Their entries are weights of
averages, within 0..1; float16 keeps 11 bits of them, more than the 8 bits of what they are multiplied with. Engines
convert them once, when they load the model, so inference is not slower.
"""

from __future__ import annotations

import numpy as np
import onnx

from afformer.quantize.lowering.graph import Builder, Graph, rebuilt, renamed

SMALLEST = 1024
"""Matrices with fewer entries are not worth a Cast."""
_COARSEST = 2.0**-11
"""Share of the largest entry by which rounding may move an entry: what float16 does to its normal numbers. Those below
6e-5 are rounded more coarsely, and those above 65,504 are infinite."""


def store_matrices_as_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Stores constant float32 operands of matrix products as float16 followed by a Cast, where that is exact enough."""
    graph = Graph(model)
    new, cast = Builder(), {}
    replaced: dict[str, list[onnx.NodeProto]] = {}
    for node in [node for node in graph.nodes if node.op_type == "MatMul"]:
        casts = len(new.nodes)
        for name in node.input:
            if name not in cast and _is_suitable(graph, name):
                stored = new.constant(f"{name}.half", graph.constants[name].astype(np.float16))
                cast[name] = new.add("Cast", [stored], f"{name}.wide", to=onnx.TensorProto.FLOAT)
        if cast.keys() & set(node.input):
            replaced[node.name] = [*new.nodes[casts:], renamed(node, cast)]
    return rebuilt(graph, replaced, new.constants)


def _is_suitable(graph: Graph, name: str) -> bool:
    value = graph.constants.get(name)
    if value is None or value.dtype != np.float32 or value.size < SMALLEST or np.abs(value).max() > 1:
        return False
    moved = np.abs(value.astype(np.float16).astype(np.float32) - value).max()
    return bool(moved <= _COARSEST * np.abs(value).max())
