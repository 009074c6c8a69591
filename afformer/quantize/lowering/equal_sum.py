"""Which sums on integers can have a scale for each channel.

The network adds a coarse map to a fine one, and only a convolution reads the sum. The channels of the coarse map differ
much, and both maps are rounded in steps that suit its widest channel. With s the scale of each channel,

    (a + b) / s  =  a / s + b / s

and every term is divided where that costs least:

1. a convolution that nothing but the sum reads: its rows;
2. a Resize that nothing but the sum reads: its input, which has fewer pixels. It does not mix channels;
3. a sum that nothing but the sum reads: its terms;
4. anything else on integers: with a depthwise 1x1 convolution, a division.

If a term is made in float in another way, the sum stays as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnx

from afformer.quantize.grid import Doubles, Floats
from afformer.quantize.lowering.graph import Builder, Graph
from afformer.quantize.lowering.node_placement import NodePlacement

_SHARE = ".share"


class Sum(NamedTuple):
    """A sum of two or more tensors.

    Attributes:
        additions: Its nodes.
        rows: The convolutions of case 1.
        resizes: Those of case 2.
        others: The tensors of case 4.
    """

    additions: list[onnx.NodeProto]
    rows: list[onnx.NodeProto]
    resizes: list[onnx.NodeProto]
    others: list[str]


def sum_of(graph: Graph, placement: NodePlacement, name: str) -> Sum | None:
    """The sum that makes a tensor; None if it does not run on integers or a term cannot be divided."""
    add = graph.maker(name, "Add")
    found = Sum([], [], [], [])
    return found if add is not None and _collect(graph, placement, add, found) else None


def _collect(graph: Graph, placement: NodePlacement, add: onnx.NodeProto, found: Sum) -> bool:
    """Adds a node and its terms to a sum; whether they can be divided."""
    found.additions.append(add)
    return placement.is_integer(add) and all(
        _divisible(graph, placement, name, found) for name in dict.fromkeys(add.input)
    )


def _divisible(graph: Graph, placement: NodePlacement, name: str, found: Sum) -> bool:
    maker, alone = graph.producer.get(name), graph.only_consumer(name) is not None
    if maker is None:
        return False
    if alone and maker.op_type == "Add":
        return _collect(graph, placement, maker, found)
    if alone and maker.op_type == "Conv":
        found.rows.append(maker)
        return True
    if alone and maker.op_type == "Resize":
        found.resizes.append(maker)
        return maker.input[0] in graph.producer
    found.others.append(name)
    return placement.is_integer(maker)


def write_division(name: str, result: str, scale: Doubles, constants: dict[str, Floats]) -> list[onnx.NodeProto]:
    """The node that divides the channels of a tensor.

    Args:
        name: The name of the tensor.
        result: The name that the quotient gets.
        scale: `(C,)`, what the channels are divided by.
        constants: The new constant is added here.
    """
    new = Builder(constants=constants)
    share = new.constant(f"{name}{_SHARE}", (1 / scale).astype(np.float32).reshape(-1, 1, 1, 1))
    new.add("Conv", [name, share], result, kernel_shape=[1, 1], group=len(scale))
    return new.nodes


def is_division(node: onnx.NodeProto) -> bool:
    """Whether the node was made by `write_division`: it is part of the sum that reads it."""
    return node.op_type == "Conv" and node.input[1].endswith(_SHARE)
