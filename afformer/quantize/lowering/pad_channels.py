"""Depthwise convolutions of a channel count that kernels like: a multiple of 16, filled up with zeros.

    dense -> [activation] -> depthwise -> [activation] -> dense

If the channels between two dense convolutions are nobody else's, they can be filled up: the first one's new rows and
biases are zero, so are the depthwise kernels, and the second one's new columns. The activations here (HardSwish, Gelu)
keep zero zero, so the function is the same. Integer depthwise kernels handle 16 channels at a time and the rest one by
one: 216 channels cost twice as much as 224.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnx

from afformer.quantize.lowering.graph import Array, Builder, Graph, attribute

BLOCK = 16
_ZERO_KEEPING = ("HardSwish", "Gelu", "Relu")


class _Sandwich(NamedTuple):
    before: onnx.NodeProto
    depthwise: onnx.NodeProto
    after: onnx.NodeProto


def pad_channels(model: onnx.ModelProto) -> onnx.ModelProto:
    """Pads every depthwise convolution between two dense ones to a multiple of `BLOCK` channels.

    Returns the model itself if there is nothing to do.
    """
    graph = Graph(model)
    found = [_sandwich(graph, node) for node in graph.nodes if _is_ragged(graph, node)]
    if not any(found):
        return model
    constants: dict[str, Array] = {}
    changed: dict[str, onnx.NodeProto] = {}
    for sandwich in filter(None, found):
        before, depthwise, after = (_copy(changed.get(n.name, n)) for n in sandwich)
        channels = graph.shape(sandwich.depthwise.input[1])[0]
        extra = -channels % BLOCK

        def pad(node: onnx.NodeProto, index: int, axis: int, extra: int = extra) -> None:
            if index < len(node.input):
                value = constants.get(node.input[index], graph.constants.get(node.input[index]))
                assert value is not None
                widths = [(0, extra if a == axis else 0) for a in range(value.ndim)]
                node.input[index] += ".padded"
                constants[node.input[index]] = np.pad(value, widths)

        pad(before, 1, 0)
        pad(before, 2, 0)
        pad(depthwise, 1, 0)
        pad(depthwise, 2, 0)
        pad(after, 1, 1)
        next(a for a in depthwise.attribute if a.name == "group").i = channels + extra
        changed.update({node.name: node for node in (before, depthwise, after)})
    builder = Builder([], {**graph.constants, **constants})
    for node in graph.nodes:
        builder.append(changed.get(node.name, node))
    return builder.model(model)


def is_depthwise(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether every channel is filtered on its own."""
    return node.op_type == "Conv" and attribute(node, "group", 1) == graph.shape(node.input[0])[1] > 1


def _is_ragged(graph: Graph, node: onnx.NodeProto) -> bool:
    return is_depthwise(graph, node) and graph.shape(node.input[1])[0] % BLOCK != 0


def _sandwich(graph: Graph, depthwise: onnx.NodeProto) -> _Sandwich | None:
    name = depthwise.input[0]
    while graph.only_consumer(name) is not None and name in graph.producer:
        before = graph.producer[name]
        if before.op_type == "Conv":
            after = _dense_after(graph, depthwise.output[0])
            dense = attribute(before, "group", 1) == 1
            return _Sandwich(before, depthwise, after) if dense and after is not None else None
        if before.op_type not in _ZERO_KEEPING:
            return None
        name = before.input[0]
    return None


def _dense_after(graph: Graph, name: str) -> onnx.NodeProto | None:
    node = graph.only_consumer(name)
    while node is not None and node.op_type in _ZERO_KEEPING:
        node = graph.only_consumer(node.output[0])
    return node if node is not None and node.op_type == "Conv" and attribute(node, "group", 1) == 1 else None


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
