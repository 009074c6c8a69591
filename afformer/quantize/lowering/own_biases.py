"""A bias of its own for every convolution.

Blocks of a stage share their position encoding and their filters. Engines fold a bias into its convolution only if
nothing else reads it; the weights stay shared.
"""

from __future__ import annotations

import collections

import onnx

from afformer.quantize.lowering.graph import Graph, rebuilt, renamed


def duplicate_shared_biases(model: onnx.ModelProto) -> onnx.ModelProto:
    """Makes sure that no two convolutions read the same bias; returns the model itself if none do."""
    graph = Graph(model)
    changed: dict[str, list[onnx.NodeProto]] = {}
    copies = {}
    readers: collections.Counter[str] = collections.Counter()
    for node in graph.nodes:
        if node.op_type != "Conv" or len(node.input) < 3:
            continue
        bias = node.input[2]
        readers[bias] += 1
        if readers[bias] > 1:
            copies[f"{bias}.{readers[bias]}"] = graph.constants[bias]
            changed[node.name] = [renamed(node, {bias: f"{bias}.{readers[bias]}"})]
    return rebuilt(graph, changed, copies)
