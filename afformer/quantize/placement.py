"""Placement: which operators are quantized, and how, on each target. One literal table."""

from __future__ import annotations

import dataclasses
import enum
import math

from afformer.quantize.choices import Target as Target  # noqa: PLC0414 - imported from here, too
from afformer.quantize.grid import Kind


class QuantFormat(enum.Enum):
    """How quantization is written in the graph."""

    INTEGER = "integer"
    """Operators on integers (QLinearConv, ...): what runs is what is written."""
    QDQ = "qdq"
    """QuantizeLinear/DequantizeLinear pairs around float operators: the engine fuses them."""


@dataclasses.dataclass(frozen=True)
class Scheme:
    """How a target is quantized. Weights are symmetric int8 with one scale for each output channel everywhere.

    Attributes:
        format: How quantization is written. INTEGER has an int32 bias, QDQ a float bias.
        activations: The integer type of activations.
        symmetric: Whether activations have their zero point at the type's middle.
        quantized: Operator types that are quantized.
        fewest_inputs: A convolution with fewer input channels stays in float.
        largest_depthwise: A depthwise convolution with a larger kernel stays in float.
        weight_bits: Bits of the weights by default. Processors without VNNI add two u8 s8 products in 16 bits, which
            8-bit weights can saturate; with 7 bits (`grid.quantize_weight`: more where the neighbouring weight leaves
            room) they cannot, so the file gives the same result everywhere.
        depthwise_bits: Bits of the weights of depthwise convolutions whatever is chosen for the others, because their
            kernels add in 32 bits on every processor; None: as the others.
        bytes_across_layouts: Whether the outputs of convolutions that attention reads are quantized too: the engine
            changes their layout, and moving bytes is several times cheaper than moving floats.
        gates: Whether HardSwish may become a gate with a scale for each channel: its operators run as written.
        quantizes_by_channel: Whether a float tensor, channels first, can be quantized with a scale for each channel.
        fuses_rescaling: Whether adding and multiplying by a constant for each channel costs nothing before a tensor is
            quantized: the engine fuses it with the quantization.
    """

    format: QuantFormat
    activations: Kind
    symmetric: bool
    quantized: frozenset[str]
    fewest_inputs: int = 1
    largest_depthwise: float = math.inf
    weight_bits: int = 8
    depthwise_bits: int | None = None
    bytes_across_layouts: bool = False
    gates: bool = False
    quantizes_by_channel: bool = False
    fuses_rescaling: bool = False


_INTEGERS = frozenset({"Conv", "HardSwish", "Gelu", "Add", "Clip", "Mul"})

TABLE: dict[Target, Scheme] = {
    # ONNX Runtime takes input channels by fours; its float 7x7 depthwise kernel beats its integer one (0.25 to 0.47 ms)
    Target.X86: Scheme(
        QuantFormat.INTEGER,
        Kind.U8,
        False,
        _INTEGERS,
        fewest_inputs=4,
        largest_depthwise=5,
        weight_bits=7,
        depthwise_bits=8,
        gates=True,
        quantizes_by_channel=True,
    ),
    Target.ARM: Scheme(
        QuantFormat.INTEGER, Kind.S8, False, _INTEGERS, fewest_inputs=4, gates=True, quantizes_by_channel=True
    ),
    Target.TENSORRT: Scheme(QuantFormat.QDQ, Kind.S8, True, frozenset({"Conv", "Add"})),
    Target.GENERIC: Scheme(
        QuantFormat.QDQ, Kind.U8, False, frozenset({"Conv"}), bytes_across_layouts=True, fuses_rescaling=True
    ),
}

WHY_FLOAT: dict[str, str] = {
    "Softmax": "over N tokens it gives values near 1/N, which one 8-bit scale rounds to zero",
    "MatMul": "the K^T V product and the low-pass filters sum over all tokens; together they take little time",
    "LayerNormalization": "its statistics need more than 8 bits",
    "ReduceMean": "the norm's statistics need more than 8 bits",
    "Max": "the head's norm, whose statistics need more than 8 bits",
    "Resize": "the engine's 8-bit resize is slower than its float one",
    "Mul": "its operands are in float for attention already",
    "Gelu": "the engine fuses it into the convolution before it",
    "HardSwish": "the engine fuses it into the convolution before it",
    "Add": "its operands are in float already, or the engine fuses it into the convolution before it",
    "Clip": "its operand is in float already",
    "Relu": "its operand is in float already",
}
"""Why an operator that could be quantized is not, unless its node has a reason of its own."""
