"""A bias of its own for every convolution.

Blocks of a stage share their position encoding and their filters. An engine that folds a bias into its convolution
does so for constants with one reader only; the shared weights stay shared.
"""

from __future__ import annotations

import collections

import onnx

from afformer.quantize.lowering.graph import Builder, Graph, renamed


def unshare_biases(model: onnx.ModelProto) -> onnx.ModelProto:
    """Ensures that no two convolutions read the same bias; returns the model itself if none do."""
    graph = Graph(model)
    builder = Builder(constants=dict(graph.constants))
    readers: collections.Counter[str] = collections.Counter()
    for node in graph.nodes:
        bias = node.input[2] if node.op_type == "Conv" and len(node.input) > 2 else ""
        readers[bias] += bool(bias)
        if readers[bias] > 1:
            builder.constants[f"{bias}.{readers[bias]}"] = graph.constants[bias]
            node = renamed(node, {bias: f"{bias}.{readers[bias]}"})  # noqa: PLW2901 - the node, with its own bias
        builder.append(node)
    return builder.model(model) if any(count > 1 for count in readers.values()) else model
