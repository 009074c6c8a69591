"""Depthwise convolutions with as many channels as kernels like: a multiple of 16, padded with zeros.

    dense -> [activation] -> depthwise -> [activation] -> dense

If nothing else reads the channels between two dense convolutions, they can be padded: the first one's new rows and
biases are zero, the depthwise kernels' too, and the second one's new columns. The activations here (HardSwish, Gelu,
Relu) map zero to zero, so the function is the same. Integer depthwise kernels handle 16 channels at a time and the rest
one by one: 216 channels cost twice as much as 224.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnx

from afformer.quantize.lowering.graph import Array, Graph, attribute, copy_of, rebuilt

BLOCK = 16
_ZERO_KEEPING = ("HardSwish", "Gelu", "Relu")


class _Bottleneck(NamedTuple):
    before: onnx.NodeProto
    depthwise: onnx.NodeProto
    after: onnx.NodeProto


def pad_channels(model: onnx.ModelProto) -> onnx.ModelProto:
    """Pads every depthwise convolution between two dense ones to a multiple of `BLOCK` channels.

    Returns the model itself if there is nothing to do.
    """
    graph = Graph(model)
    found = [_bottleneck(graph, node) for node in graph.nodes if _is_uneven(graph, node)]
    constants = dict(graph.constants)
    changed: dict[str, list[onnx.NodeProto]] = {}
    for bottleneck in filter(None, found):
        # A dense convolution may lie between two depthwise ones and be padded on both sides.
        before, depthwise, after = (copy_of(changed.get(node.name, [node])[0]) for node in bottleneck)
        channels = graph.shape(bottleneck.depthwise.input[1])[0]
        extra = -channels % BLOCK
        for node, index, axis in ((before, 1, 0), (before, 2, 0), (depthwise, 1, 0), (depthwise, 2, 0), (after, 1, 1)):
            _pad(constants, node, index, axis, extra)
        next(a for a in depthwise.attribute if a.name == "group").i = channels + extra
        changed |= {node.name: [node] for node in (before, depthwise, after)}
    return rebuilt(graph, changed, constants)


def is_depthwise(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether every channel is filtered on its own."""
    return node.op_type == "Conv" and attribute(node, "group", 1) == graph.shape(node.input[0])[1] > 1


def _pad(constants: dict[str, Array], node: onnx.NodeProto, index: int, axis: int, extra: int) -> None:
    """Lets a node read a padded copy of one of its constants, if it has that input."""
    if index < len(node.input):
        value = constants[node.input[index]]
        node.input[index] += ".padded"
        constants[node.input[index]] = np.pad(value, [(0, extra if a == axis else 0) for a in range(value.ndim)])


def _is_uneven(graph: Graph, node: onnx.NodeProto) -> bool:
    return is_depthwise(graph, node) and graph.shape(node.input[1])[0] % BLOCK != 0


def _bottleneck(graph: Graph, depthwise: onnx.NodeProto) -> _Bottleneck | None:
    name = depthwise.input[0]
    while graph.only_consumer(name) is not None and name in graph.producer:
        before = graph.producer[name]
        if before.op_type == "Conv":
            after = _dense_after(graph, depthwise.output[0])
            dense = attribute(before, "group", 1) == 1
            return _Bottleneck(before, depthwise, after) if dense and after is not None else None
        if before.op_type not in _ZERO_KEEPING:
            return None
        name = before.input[0]
    return None


def _dense_after(graph: Graph, name: str) -> onnx.NodeProto | None:
    node = graph.only_consumer(name)
    while node is not None and node.op_type in _ZERO_KEEPING:
        node = graph.only_consumer(node.output[0])
    return node if node is not None and node.op_type == "Conv" and attribute(node, "group", 1) == 1 else None
