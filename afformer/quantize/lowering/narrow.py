"""Large constant matrices stored as float16.

The low-pass filters' pooling and interpolation matrices are a tenth of an INT8 file. Their entries are averages'
weights in
0..1; float16 keeps 11 bits of them, more than the 8 bits of what they are multiplied with. Engines widen them once,
when they load the model, so nothing gets slower.
"""

from __future__ import annotations

import numpy as np
import onnx

from afformer.quantize.lowering.graph import Builder, Graph, renamed

SMALLEST = 1024
"""Matrices of fewer entries are not worth a node."""


def narrow_matrices(model: onnx.ModelProto) -> onnx.ModelProto:
    """Stores constant float32 operands of matrix products, of values within -1..1, as float16 behind a Cast."""
    graph = Graph(model)
    names = [name for node in graph.nodes if node.op_type == "MatMul" for name in node.input if _is_wide(graph, name)]
    if not names:
        return model
    builder = Builder(constants=dict(graph.constants))
    wide = {}
    for name in dict.fromkeys(names):
        half = builder.constant(f"{name}.half", graph.constants[name].astype(np.float16))
        wide[name] = builder.add("Cast", [half], f"{name}.wide", to=onnx.TensorProto.FLOAT)
    for node in graph.nodes:
        builder.append(renamed(node, wide) if node.op_type == "MatMul" else node)
    return builder.model(model)


def _is_wide(graph: Graph, name: str) -> bool:
    value = graph.constants.get(name)
    return value is not None and value.dtype == np.float32 and value.size >= SMALLEST and np.abs(value).max() <= 1
