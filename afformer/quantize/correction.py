"""Bias correction: undoes the mean shift that rounding the weights adds to a convolution's output.

With W the weight, V the rounded weight, and m the mean of the input's channels over pictures, the output with V differs
from the output with W by (V - W) x, on average by (V - W) m. Subtracting this from the bias makes the mean error zero.
(Only padding, where the input is zero instead of m, is neglected.) It matters for depthwise convolutions, which have 9
values a channel: too few for their rounding errors to average out.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import onnx

from afformer.quantize.activations import ActivationsRunner
from afformer.quantize.grid import quantize_weight
from afformer.quantize.lowering.equalise import of_each_output
from afformer.quantize.lowering.graph import Array, Graph, attribute, copy_of, rebuilt
from afformer.quantize.lowering.pad_channels import is_depthwise

Doubles = npt.NDArray[np.float64]


def channel_means(model: onnx.ModelProto, feeds: Iterable[Array]) -> dict[str, Doubles]:
    """The mean of every channel of every convolution's input over all feeds; a dozen pictures are plenty.

    Args:
        model: A canonical float model.
        feeds: Input tensors; taken one by one, none is kept.

    Returns:
        Tensor name -> `(C,)`.

    Raises:
        ValueError: There are no feeds.
    """
    graph = Graph(model)
    names = list(dict.fromkeys(node.input[0] for node in graph.nodes if node.op_type == "Conv"))
    runner = ActivationsRunner(model, names)
    sums = {name: np.zeros(graph.shape(name)[1]) for name in names}
    count = 0
    for feed in feeds:
        count += len(feed)
        for name, values in zip(names, runner.run(feed), strict=True):
            sums[name] += values.mean(axis=(2, 3), dtype=np.float64).sum(axis=0)
    if not count:
        raise ValueError("channel means need at least one feed")
    return {name: total / count for name, total in sums.items()}


def correct_biases(
    model: onnx.ModelProto, means: dict[str, Doubles], weight_bits: int = 8, depthwise_bits: int | None = None
) -> onnx.ModelProto:
    """The canonical model with biases that make up for the rounding of the weights; everything else stays as it is.

    The result is not the float network any more: lower it, but do not calibrate it or measure accuracy against it.

    Args:
        model: A canonical float model, in which no two convolutions share a bias.
        means: What `channel_means` found.
        weight_bits: The same as for `lower`.
        depthwise_bits: The target's `Scheme.depthwise_bits`.
    """
    graph = Graph(model)
    corrected: dict[str, list[onnx.NodeProto]] = {}
    biases: dict[str, Array] = {}
    for node in graph.nodes:
        if node.op_type != "Conv":
            continue
        weight = graph.constants[node.input[1]]
        bits = depthwise_bits or weight_bits if is_depthwise(graph, node) else weight_bits
        shift = mean_shift(weight, means[node.input[0]], attribute(node, "group", 1), bits)
        name = f"{node.output[0]}.corrected"
        biases[name] = (graph.bias(node) - shift).astype(np.float32)
        corrected[node.name] = [copy_of(node, inputs=[*node.input[:2], name])]
    return rebuilt(graph, corrected, biases)


def mean_shift(weight: npt.NDArray[np.float32], means: Doubles, groups: int, weight_bits: int = 8) -> Doubles:
    """By how much rounding the weight shifts the mean of each output channel.

    Args:
        weight: `(O, I / groups, kh, kw)`.
        means: `(I,)`, the mean of each input channel.
        groups: The convolution's groups.
        weight_bits: 8 or 7.

    Returns:
        `(O,)`.
    """
    error = (quantize_weight(weight, bits=weight_bits).dequantize() - weight.astype(np.float64)).sum(axis=(2, 3))
    shift: Doubles = (error * of_each_output(means, len(weight), groups)).sum(axis=1)
    return shift
