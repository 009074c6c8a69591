"""The head's GroupNorm, ReLU and classifier as one matrix product on tokens.

With t the `(n, N, C)` tokens, m and d the mean and standard deviation of each token's group (sqrt(var + eps)), g and b
the norm's weight and bias, V and v the classifier's,

    relu(g (t - m) / d + b)  =  a relu(t - s)        a = g / d,  s = m - d b / g,  for g > 0
                             =  a (max(t, s) - s)
    classify(...)            =  max(t, s) (a V) + (v - s (a V))

so only one pass over the tokens, `max`, is left between the two products; everything else is per channel. The moments
are products with a constant row, mean(x) = row t and mean(x^2) = row t^2, because engines are slow at reducing over the
outer axis.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx

from afformer.quantize.lowering.channels_last_norm import TO_FIRST, TO_LAST
from afformer.quantize.lowering.graph import Builder, Graph, attribute, rebuilt

_SMALLEST = 1e-12
"""Smallest weight of a norm that is folded: b / g must stay far inside float32's range."""
_OPERATORS = ("Reshape", "InstanceNormalization", "Reshape", "Mul", "Add", "Relu", "Conv")


def fold_group_norm(model: onnx.ModelProto) -> onnx.ModelProto:
    """Folds the export's GroupNorm with weights above `_SMALLEST`, its ReLU and the 1x1 convolution that follows.

    Returns the model itself if there is none.
    """
    graph = Graph(model)
    new = Builder()
    replaced: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.nodes:
        chain = _chain(graph, node) if node.op_type == "InstanceNormalization" else None
        if chain is not None:
            before = len(new.nodes)
            _emit(graph, new, chain)
            replaced |= {node.name: [] for node in chain[:-1]} | {chain[-1].name: new.nodes[before:]}
    return rebuilt(graph, replaced, new.constants)


def _chain(graph: Graph, norm: onnx.NodeProto) -> list[onnx.NodeProto] | None:
    first = graph.maker(norm.input[0], "Reshape")
    if first is None:
        return None
    chain = [first]
    while len(chain) < len(_OPERATORS):
        following = graph.only_consumer(chain[-1].output[0])
        if following is None or following.op_type != _OPERATORS[len(chain)]:
            return None
        chain.append(following)
    _, _, _, scale, shift, _, classify = chain
    plain = np.all(graph.constants[norm.input[1]] == 1) and np.all(graph.constants[norm.input[2]] == 0)
    affine = all(node.input[1] in graph.constants for node in (scale, shift))
    if not plain or not affine or np.any(graph.constants[scale.input[1]] <= _SMALLEST):
        return None
    pointwise = graph.shape(classify.input[1])[2:] == (1, 1) and attribute(classify, "group", 1) == 1
    return chain if pointwise and len(classify.input) == 3 else None


def _emit(graph: Graph, builder: Builder, chain: list[onnx.NodeProto]) -> None:
    flat, norm, _, scale, shift, _, classify = chain
    source, base = flat.input[0], norm.name.rsplit("/", 1)[0]
    n, channels, height, width = graph.shape(source)
    groups, tokens = graph.shape(flat.output[0])[1], height * width
    weight = graph.constants[classify.input[1]][:, :, 0, 0].T.astype(np.float64)  # (C, classes)
    g = graph.constants[scale.input[1]].astype(np.float64).reshape(groups, -1)
    b = graph.constants[shift.input[1]].astype(np.float64).reshape(groups, -1)

    def constant(name: str, value: object) -> str:
        array = np.asarray(value)
        return builder.constant(f"{base}.{name}", array.astype(np.float32) if array.dtype.kind == "f" else array)

    def add(op_type: str, name: str, *inputs: str, **attributes: Any) -> str:
        return builder.add(op_type, inputs, f"{base}.{name}", f"{base}/{name}", **attributes)

    t = add("Transpose", "last", source, perm=TO_LAST)
    t = add("Reshape", "tokens", t, constant("tokens_shape", [n, tokens, channels]))
    row = constant("row", np.full((1, tokens), 1 / tokens))
    per_group = constant("group_shape", [n, groups, channels // groups])
    axis = constant("axis", [-1])
    mean = add("ReduceMean", "mean", add("Reshape", "means", add("MatMul", "sum", row, t), per_group), axis)
    squares = add("MatMul", "square_sum", row, add("Mul", "square", t, t))
    square = add("ReduceMean", "square_mean", add("Reshape", "squares", squares, per_group), axis)
    variance = add("Sub", "variance", square, add("Mul", "mean_square", mean, mean))
    deviation = add(
        "Sqrt", "deviation", add("Add", "stable", variance, constant("eps", attribute(norm, "epsilon", 1e-5)))
    )
    s = add("Sub", "threshold", mean, add("Mul", "offset", deviation, constant("ratio", b / g)))
    s = add("Reshape", "threshold_row", s, constant("row_shape", [n, 1, channels]))
    a = add("Div", "gain", constant("weight", g), deviation)
    a = add("Reshape", "gain_column", a, constant("column_shape", [n, channels, 1]))
    v = add("Mul", "classifier", a, constant("classifier_weight", weight))
    rest = add("Sub", "rest", constant("bias", graph.constants[classify.input[2]]), add("MatMul", "floor", s, v))
    out = add("Add", "scores", add("MatMul", "product", add("Max", "above", t, s), v), rest)
    classes = weight.shape[1]
    out = add("Reshape", "map", out, constant("map_shape", [n, height, width, classes]))
    assert math.prod(graph.shape(source)) == n * tokens * channels
    builder.add("Transpose", [out], classify.output[0], classify.name, perm=TO_FIRST)
