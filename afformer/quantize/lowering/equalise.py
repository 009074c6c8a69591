"""Equalises the channels of what convolutions read, so that one 8-bit grid suits them all.

A tensor has one scale for all channels, set by the widest. A convolution is as exact with other channels,

    sum_c W(o, c) x(c) + b(o)  =  sum_c [W(o, c) s(c)] z(c) + [b(o) + sum_c W(o, c) t(c)],   z(c) = (x(c) - t(c)) / s(c)

with the scale s(c) and the shift t(c) that bring every channel of z to the same range. Weights have room for the
scales: they have one grid for each output channel, and their rounding adds far less noise than that of activations.
There is a shift only if no reader pads its input, because padding is zero. z comes from, in this order:

1. the convolution before it, if only convolutions read its output: its rows are divided by s;
2. the LayerNormalization before it, through views, likewise: its weight and bias are divided by s;
3. the HardSwish before it, if the target's operators are written out (`gates`), the convolution before that can be
   divided as in 1 and enough noise goes; `gate.py` says how;
4. the sum before it, if that runs on integers, its terms can be divided and enough noise goes; `equal_sum.py` says how;
5. a Mul after the tensor, if the target has operators that quantize with a scale for each channel, and the tensor is
   made in float, channels first, and read by convolutions alone;
6. an Add and a Mul after the tensor, if the target's engine fuses them with the operator before (`fuses_rescaling`);
   what is not quantized goes on to read x.

Otherwise the tensor stays as it is. z is named after x, with `SUFFIX`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import onnx

from afformer.quantize.grid import Doubles, Floats
from afformer.quantize.lowering.equal_sum import Sum, sum_of, write_division
from afformer.quantize.lowering.gate import LOWEST, write_gate
from afformer.quantize.lowering.graph import Builder, Graph, attribute, copy_of, rebuilt
from afformer.quantize.lowering.node_placement import NodePlacement, declines
from afformer.quantize.placement import TABLE, Scheme, Target

SUFFIX = ".equal"
_SHIFTED, _SHIFT, _FACTOR = ".shifted", ".shift", ".factor"
VIEWS = ("Reshape", "Transpose")
"""Operators that return the values they get, in another shape or order."""
_NARROWEST = 1e-3
"""Smallest scale of a channel, as a share of the largest: a channel that never changes does not get a scale of zero."""
WORTH_A_GATE = 0.9
"""Largest share of its noise that a gate may leave. It takes 0.1 % of the network's time more than the addition that it
replaces; where channels are alike, it buys nothing."""
WORTH_A_DIVISION = 1 / 3
"""Largest share of its noise that a divided sum may leave: it takes 0.3 % of the network's time."""
_SPLITS = np.linspace(0.02, 0.98, 49)
"""Shares of a range below zero that are tried."""


@dataclasses.dataclass(frozen=True)
class ChannelRanges:
    """The range of each channel of a tensor.

    Attributes:
        low: `(C,)`.
        high: `(C,)`, not below `low`.
    """

    low: Doubles
    high: Doubles


def tensors_to_equalise(model: onnx.ModelProto, target: Target) -> list[str]:
    """Names of the tensors whose channels `equalise` wants the ranges of."""
    graph, scheme = Graph(model), TABLE[target]
    return [_observed(graph, name, scheme) for name in _readers(graph, scheme)]


def equalise(model: onnx.ModelProto, ranges: Mapping[str, ChannelRanges], target: Target) -> onnx.ModelProto:
    """The same function with equal channels; the model itself if there is nothing to do.

    Args:
        model: A canonical float model.
        ranges: Of the channels of `tensors_to_equalise`.
        target: What the model is made for.
    """
    graph, scheme = Graph(model), TABLE[target]
    changes = _Changes(graph, scheme)
    for name, readers in _readers(graph, scheme).items():
        observed = _observed(graph, name, scheme)
        if observed in ranges:
            changes.equalise(name, readers, ranges[observed])
    return rebuilt(graph, changes.nodes, changes.constants)


def is_rescaling(node: onnx.NodeProto) -> bool:
    """Whether the node is one that `equalise` added, and so part of a quantization rather than of the network."""
    added = node.op_type in ("Add", "Mul") and node.output[0].endswith((SUFFIX, _SHIFTED))
    return added and node.input[1].endswith((_FACTOR, _SHIFT))


def of_each_output(channels: Doubles, outputs: int, groups: int) -> Doubles:
    """A value of each input channel, `(I,)`, as `(O, I / groups)`: of the channels that each output channel reads."""
    return channels.reshape(groups, -1).repeat(outputs // groups, axis=0)


def scales_and_shifts(
    ranges: ChannelRanges, weights: Doubles, *, shifts: bool, symmetric: bool
) -> tuple[Doubles, Doubles]:
    """The scale and the shift of each channel, `(C,)` both; the scales' geometric mean is 1.

    With shifts every channel fills the range. Without, its part below zero and its part above must fit those of the
    common range, whose split between the two is the one that adds least noise: `sum_c weights(c) s(c)^2`.

    Args:
        ranges: Of the channels.
        weights: `(C,)`, the sum of the squared weights that a channel is multiplied with.
        shifts: Whether there may be shifts.
        symmetric: Whether the grid is as wide below zero as above.
    """
    shift = (ranges.low + ranges.high) / 2 if shifts else np.zeros_like(ranges.low)
    below, above = np.maximum(shift - ranges.low, 0), np.maximum(ranges.high - shift, 0)
    splits = np.array([0.5]) if shifts or symmetric else _SPLITS
    tried = np.maximum(below[:, None] / splits, above[:, None] / (1 - splits))  # (C, splits)
    widest = tried.max(axis=0)
    tried = np.where(widest > 0, np.maximum(tried, _NARROWEST * widest), 1.0)
    scale = tried[:, np.argmin(weights @ np.square(tried))]
    return scale / np.exp(np.log(scale).mean()), shift


def noise_ratio(ranges: ChannelRanges, weights: Doubles, scale: Doubles) -> float:
    """What rounding adds to the result with scales, as a share of what it adds without: arguments as above.

    A step is proportional to the width of the common range, and its noise, step^2 / 12, reaches the result through
    `weights(c) s(c)^2`.
    """
    before = (ranges.high.max() - ranges.low.min()) ** 2 * weights.sum()
    after = ((ranges.high / scale).max() - (ranges.low / scale).min()) ** 2 * (weights @ np.square(scale))
    return float(after / before) if before > 0 else 1.0


class _Changes:
    """The changes so far: nodes by the name of the node that they replace, and all constants."""

    def __init__(self, graph: Graph, scheme: Scheme) -> None:
        self.graph, self.scheme = graph, scheme
        self.placement = NodePlacement(graph, scheme, frozenset())
        self.constants = dict(graph.constants)
        self.nodes: dict[str, list[onnx.NodeProto]] = {}

    def equalise(self, name: str, readers: list[onnx.NodeProto], ranges: ChannelRanges) -> None:
        source = _source(self.graph, name, self.scheme)
        gated = source is not None and source.op_type == "HardSwish"
        if gated:
            ranges = ChannelRanges(np.maximum(ranges.low, LOWEST), np.maximum(ranges.high, 0))
        added = sum_of(self.graph, self.placement, name) if source is None and self.scheme.gates else None
        scaled = gated or (source is None and not self.scheme.fuses_rescaling)
        unpadded = not scaled and all(self._is_unpadded(reader) for reader in readers)
        weights = sum((self._squares(reader) for reader in readers), np.zeros(len(ranges.low)))
        scale, shift = scales_and_shifts(ranges, weights, shifts=unpadded, symmetric=self.scheme.symmetric)
        worth = WORTH_A_GATE if gated else WORTH_A_DIVISION
        if (gated or added) and noise_ratio(ranges, weights, scale) > worth:
            return
        for reader in readers:
            self._read(reader, name, scale, shift)
        if added is not None:
            self._divide_sum(added, scale)
        elif source is None:
            self._rescale(name, scale, shift)
        elif source.op_type == "Conv":
            self._divide_rows(source, scale, shift)
        elif gated:
            self._gate(source, scale)
        else:
            self._divide(source, scale, shift)
            self._rename_views(source.output[0], name)

    def _is_unpadded(self, convolution: onnx.NodeProto) -> bool:
        return self.graph.shape(convolution.input[1])[2:] == (1, 1) and not any(attribute(convolution, "pads", [0]))

    def _squares(self, convolution: onnx.NodeProto) -> Doubles:
        """`(I,)`: sum of the squared weights that each input channel is multiplied with."""
        groups = attribute(convolution, "group", 1)
        squares = np.square(self.graph.constants[convolution.input[1]].astype(np.float64)).sum(axis=(2, 3))
        found: Doubles = squares.reshape(groups, -1, squares.shape[1]).sum(axis=1).reshape(-1)
        return found

    def _read(self, convolution: onnx.NodeProto, name: str, scale: Doubles, shift: Doubles) -> None:
        """Lets a convolution read the equalised tensor."""
        node = self._copy(convolution)
        weight, bias = self._weight(node)
        groups = attribute(node, "group", 1)
        scales, shifts = (of_each_output(values, len(weight), groups) for values in (scale, shift))
        bias = bias + (weight.sum(axis=(2, 3)) * shifts).sum(axis=1)
        node.input[0] = f"{name}{SUFFIX}"
        self._set(node, weight * scales[:, :, None, None], bias)

    def _divide_rows(self, convolution: onnx.NodeProto, scale: Doubles, shift: Doubles) -> None:
        node = self._copy(convolution)
        weight, bias = self._weight(node)
        self._set(node, weight / scale[:, None, None, None], (bias - shift) / scale)
        node.output[0] += SUFFIX

    def _gate(self, hard_swish: onnx.NodeProto, scale: Doubles) -> None:
        self._divide_rows(self.graph.producer[hard_swish.input[0]], scale, np.zeros_like(scale))
        source, result = f"{hard_swish.input[0]}{SUFFIX}", f"{hard_swish.output[0]}{SUFFIX}"
        self.nodes[hard_swish.name] = write_gate(source, result, scale, self.constants)

    def _divide_sum(self, added: Sum, scale: Doubles) -> None:
        shift = np.zeros_like(scale)
        for convolution in added.rows:
            self._divide_rows(convolution, scale, shift)
        for resize in added.resizes:
            self._rescale(resize.input[0], scale, shift)
        for name in dict.fromkeys(added.others):
            self._follow(name, write_division(name, f"{name}{SUFFIX}", scale, self.constants))
        for node in [*added.resizes, *added.additions]:
            copy = self._copy(node)
            terms = 1 if node.op_type == "Resize" else 2
            copy.input[:terms] = [f"{name}{SUFFIX}" for name in copy.input[:terms]]
            copy.output[0] += SUFFIX

    def _divide(self, norm: onnx.NodeProto, scale: Doubles, shift: Doubles) -> None:
        node = self._copy(norm)
        weight, bias = (self.constants[name].astype(np.float64) for name in node.input[1:])
        self._set(node, weight / scale, (bias - shift) / scale)
        node.output[0] += SUFFIX

    def _rename_views(self, first: str, last: str) -> None:
        name = last
        while name != first:
            view = self._copy(self.graph.producer[name])
            name = view.input[0]
            view.input[0] += SUFFIX
            view.output[0] += SUFFIX

    def _rescale(self, name: str, scale: Doubles, shift: Doubles) -> None:
        new = Builder(constants=self.constants)
        column = (1, len(scale), 1, 1)
        source = name
        if shift.any():
            negative = new.constant(f"{name}{_SHIFT}", (-shift).astype(np.float32).reshape(column))
            source = new.add("Add", [name, negative], f"{name}{_SHIFTED}")
        factor = new.constant(f"{name}{_FACTOR}", (1 / scale).astype(np.float32).reshape(column))
        new.add("Mul", [source, factor], f"{name}{SUFFIX}")
        self._follow(name, new.nodes)

    def _follow(self, name: str, nodes: list[onnx.NodeProto]) -> None:
        """Puts nodes behind the one that makes a tensor."""
        maker = self.graph.producer[name]
        self._copy(maker)
        self.nodes[maker.name] += nodes

    def _copy(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """The node's copy, which may be changed."""
        return self.nodes.setdefault(node.name, [copy_of(node)])[0]

    def _weight(self, convolution: onnx.NodeProto) -> tuple[Doubles, Doubles]:
        weight = self.constants[convolution.input[1]].astype(np.float64)
        bias = self.constants[convolution.input[2]] if len(convolution.input) > 2 else np.zeros(len(weight))
        return weight, bias.astype(np.float64)

    def _set(self, node: onnx.NodeProto, weight: Doubles, bias: Doubles) -> None:
        """Gives a node a weight and a bias of its own."""
        names = [f"{node.name}.weight", f"{node.name}.bias"]
        node.input[:] = [node.input[0], *names]
        values: list[Floats] = [weight.astype(np.float32), bias.astype(np.float32)]
        self.constants |= dict(zip(names, values, strict=True))


def _readers(graph: Graph, scheme: Scheme) -> dict[str, list[onnx.NodeProto]]:
    """By tensor that can be equalised: the convolutions that are to read it so, all of them or the quantized ones."""
    found: dict[str, list[onnx.NodeProto]] = {}
    placement = NodePlacement(graph, scheme, frozenset())
    for name, readers in graph.consumers.items():
        quantized = [n for n in readers if n.op_type == "Conv" and declines(graph, n, scheme, frozenset()) is None]
        if not quantized or name not in graph.producer:
            continue
        if _source(graph, name, scheme) is not None:
            found[name] = readers
        elif scheme.fuses_rescaling and graph.producer[name].op_type not in VIEWS:
            found[name] = quantized
        elif not _only_convolutions_read(graph, name):
            continue
        elif (scheme.gates and sum_of(graph, placement, name)) or (
            scheme.quantizes_by_channel and placement.makes_first(name)
        ):
            found[name] = readers
    return found


def _only_convolutions_read(graph: Graph, name: str) -> bool:
    return name not in graph.outputs and all(node.op_type == "Conv" for node in graph.consumers[name])


def _observed(graph: Graph, name: str, scheme: Scheme) -> str:
    """The tensor whose channels decide: the input of a HardSwish, whose output has the same scales and less range."""
    source = _source(graph, name, scheme)
    return source.input[0] if source is not None and source.op_type == "HardSwish" else name


def _source(graph: Graph, name: str, scheme: Scheme) -> onnx.NodeProto | None:
    """The convolution, norm or HardSwish that can return the tensor equalised, because only convolutions read it."""
    if not _only_convolutions_read(graph, name):
        return None
    return (
        graph.maker(name, "Conv")
        or _norm_before(graph, name)
        or (_gateable(graph, name, scheme) if scheme.gates else None)
    )


def _gateable(graph: Graph, name: str, scheme: Scheme) -> onnx.NodeProto | None:
    """The HardSwish that makes the tensor, if the convolution before it is quantized and read by nothing else."""
    activation = graph.maker(name, "HardSwish")
    before = activation and graph.maker(activation.input[0], "Conv")
    if before is None or declines(graph, before, scheme, frozenset()) is not None:
        return None
    return activation if graph.only_consumer(before.output[0]) is not None else None


def _norm_before(graph: Graph, name: str) -> onnx.NodeProto | None:
    """The LayerNormalization over the channels: behind it a transpose, then reshapes that keep the channels."""
    while (view := graph.maker(name, "Reshape")) is not None and _only_reader(graph, view):
        if graph.shape(view.input[0])[:2] != graph.shape(name)[:2]:
            return None
        name = view.input[0]
    transpose = graph.maker(name, "Transpose")
    if transpose is None or not _only_reader(graph, transpose):
        return None
    perm, norm = attribute(transpose, "perm"), graph.maker(transpose.input[0], "LayerNormalization")
    if norm is None or len(norm.input) != 3 or perm[1] != len(perm) - 1:
        return None
    return norm if graph.shape(norm.input[1]) == graph.shape(name)[1:2] else None


def _only_reader(graph: Graph, node: onnx.NodeProto) -> bool:
    return graph.only_consumer(node.input[0]) is not None
