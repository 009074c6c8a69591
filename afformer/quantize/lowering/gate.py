"""HardSwish whose input and output have a scale for each channel, written with a gate.

    hardswish(x) = x clip(x / 6 + 1/2, 0, 1),   so with z(c) = x(c) / s(c)

    hardswish(x(c)) / s(c)  =  z(c) clip(s(c) / 6 * z(c) + 1/2, 0, 1)

The gate is a depthwise 1x1 convolution and a Clip. On integers the convolution's saturation does the clipping, the Clip
is the same bytes, and the whole costs a convolution in place of an addition.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnx

from afformer.quantize.grid import Doubles, Floats
from afformer.quantize.lowering.graph import Builder, Graph
from afformer.quantize.ranges import Range

LOWEST = -3.0
"""Where the gate closes: HardSwish is zero below."""


class Gate(NamedTuple):
    """The nodes of a gate, in order."""

    opening: onnx.NodeProto
    """The depthwise convolution."""
    clip: onnx.NodeProto
    product: onnx.NodeProto


def write_gate(source: str, result: str, scale: Doubles, constants: dict[str, Floats]) -> list[onnx.NodeProto]:
    """The nodes that turn z into hardswish(x) / s.

    Args:
        source: The name of z.
        result: The name that the product gets.
        scale: `(C,)`, s.
        constants: New constants are added here.
    """
    new = Builder(constants=constants)
    weight = new.constant(f"{result}.steepness", (scale / 6).astype(np.float32).reshape(-1, 1, 1, 1))
    half = new.constant(f"{result}.half", np.full(len(scale), 0.5, np.float32))
    ends = [new.constant(f"{result}.{name}", np.array(end, np.float32)) for name, end in (("shut", 0), ("open", 1))]
    opening = new.add("Conv", [source, weight, half], f"{result}.opening", kernel_shape=[1, 1], group=len(scale))
    gate = new.add("Clip", [opening, *ends], f"{result}.gate")
    new.add("Mul", [source, gate], result)
    return new.nodes


def gate_of(graph: Graph, name: str) -> Gate | None:
    """The gate that reads a tensor, if it and its product are all that read it."""
    readers = {node.op_type: node for node in graph.consumers[name]}
    if readers.keys() != {"Conv", "Mul"} or len(graph.consumers[name]) != 2:
        return None
    clip = graph.only_consumer(readers["Conv"].output[0])
    if clip is None or clip.op_type != "Clip" or clip.output[0] not in readers["Mul"].input:
        return None
    return Gate(readers["Conv"], clip, readers["Mul"])


def is_gated(graph: Graph, product: onnx.NodeProto) -> bool:
    """Whether a Mul is the product of a gate."""
    return any(graph.maker(name, "Clip") is not None for name in product.input)


def clipped(graph: Graph, name: str) -> Range | None:
    """The bounds of the Clip that makes a tensor, or that alone reads it; None if there is none."""
    clip = graph.maker(name, "Clip") or graph.only_consumer(name)
    if clip is None or clip.op_type != "Clip":
        return None
    return Range(*(float(graph.constants[end]) for end in clip.input[1:]))


def floor_of(graph: Graph, gate: Gate) -> float:
    """Below this value of z the gate is shut in every channel."""
    weight, bias = (graph.constants[name].reshape(-1) for name in gate.opening.input[1:])
    return float((-bias / weight).min())
