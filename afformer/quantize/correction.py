"""Bias correction: takes back what rounding the weights adds to a convolution's output on average.

With W the weight, V what its integers stand for, and m the mean of the input's channels over pictures, the output of
the convolution with V differs from that with W by (V - W) x, on average by (V - W) m. Subtracting this from the bias
makes the mean error zero. (Only padding, where the input is zero and not m, is neglected.) Weights in depthwise
convolutions have 9 values a channel, whose rounding errors do not average out: that is where it matters.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import onnx

from afformer.quantize.affine import quantize_weight
from afformer.quantize.lowering.graph import Builder, Graph, attribute, renamed
from afformer.quantize.session import Session

Doubles = npt.NDArray[np.float64]
Array = npt.NDArray[np.generic]


def channel_means(model: onnx.ModelProto, feeds: Iterable[Array]) -> dict[str, Doubles]:
    """The mean of every channel of every convolution's input over all feeds; a dozen pictures are plenty.

    Args:
        model: A prepared float model.
        feeds: Input tensors; taken one by one, none is kept.

    Returns:
        Tensor name -> `(C,)`.

    Raises:
        ValueError: There are no feeds.
    """
    graph = Graph(model)
    names = list(dict.fromkeys(node.input[0] for node in graph.nodes if node.op_type == "Conv"))
    session = Session(model, names)
    sums = {name: np.zeros(graph.shape(name)[1]) for name in names}
    count = 0
    for count, feed in enumerate(feeds, 1):  # noqa: B007 - the count is used behind the loop
        for name, values in zip(names, session.run(feed), strict=True):
            sums[name] += values.mean(axis=(0, 2, 3), dtype=np.float64)
    if not count:
        raise ValueError("channel means need at least one feed")
    return {name: total / count for name, total in sums.items()}


def correct_biases(model: onnx.ModelProto, means: dict[str, Doubles], weight_bits: int = 8) -> onnx.ModelProto:
    """The prepared model with biases that make up for the rounding of the weights; everything else stays as it is.

    It is no longer the float network: lower it, but do not measure accuracy against it, and do not calibrate it.

    Args:
        model: A prepared float model, each convolution with a bias of its own or none.
        means: What `channel_means` found.
        weight_bits: As the model will be lowered.
    """
    graph = Graph(model)
    builder = Builder(constants=dict(graph.constants))
    for node in graph.nodes:
        placed = node
        if node.op_type == "Conv":
            weight = graph.constants[node.input[1]]
            bias = graph.constants[node.input[2]] if len(node.input) > 2 else np.zeros(len(weight), np.float32)
            shift = mean_shift(weight, means[node.input[0]], attribute(node, "group", 1), weight_bits)
            name = f"{node.output[0]}.corrected"
            builder.constants[name] = (bias - shift).astype(np.float32)
            placed = renamed(node, {})
            placed.input[:] = [*node.input[:2], name]
        builder.append(placed)
    return builder.model(model)


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
    inputs = means.reshape(groups, -1).repeat(len(weight) // groups, axis=0)  # (O, I / groups): what each output reads
    shift: Doubles = (error * inputs).sum(axis=1)
    return shift
