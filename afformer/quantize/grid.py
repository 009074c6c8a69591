"""8-bit grids: a real number r is stored as the integer q, with r = scale * (q - zero_point).

Pure numpy. Every grid contains zero exactly, because convolutions pad with it.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

SMALLEST_SCALE = float(np.finfo(np.float32).tiny)
"""A tensor that is zero everywhere still needs a scale that float32 can divide by."""
WEIGHT_STEPS = 127
"""Most steps that a weight may have, either way."""
NEIGHBOUR_STEPS = 128
"""Most steps that two neighbouring weights of one sign may have together: 255 * 128 < 2^15 < 255 * 129."""
_SUM_MARGIN = 1e-4
"""Kept free of that, so that the rounding of a scale to float32 cannot exceed it."""
INT32_MAX = 2**31 - 1
BIAS_STEPS = 2**30
"""Most steps that a bias may have: the other half of int32 is for the sum of the products."""


class Kind(enum.Enum):
    """The 8-bit integer type that holds a tensor."""

    U8 = "uint8"
    S8 = "int8"

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The numpy type."""
        return np.dtype(self.value)

    @property
    def lowest(self) -> int:
        """Smallest integer of the type."""
        return 0 if self is Kind.U8 else -128

    @property
    def highest(self) -> int:
        """Largest integer of the type."""
        return 255 if self is Kind.U8 else 127


@dataclasses.dataclass(frozen=True)
class Grid:
    """Scale and zero point of one tensor, and the integer type that holds it."""

    scale: float
    zero_point: int
    kind: Kind = Kind.U8

    @classmethod
    def over(cls, low: float, high: float, kind: Kind = Kind.U8, symmetric: bool = False) -> Grid:
        """The grid that covers [low, high], widened to contain zero.

        Worked example: [-1, 4] as U8 has scale 5/255 and zero point 51; symmetric S8 has scale 4/127 and zero point 0.

        Args:
            low: Lower end of the range.
            high: Upper end of the range; not below `low`.
            kind: The integer type.
            symmetric: Put the zero point at the type's middle (0 for S8, 128 for U8). The scale then does not use the
                lowest integer.

        Raises:
            ValueError: The ends are not finite, or in the wrong order.
        """
        if not (np.isfinite(low) and np.isfinite(high) and low <= high):
            raise ValueError(f"a range must be finite with low <= high, but got [{low}, {high}]")
        low, high = min(low, 0.0), max(high, 0.0)
        if symmetric:
            return cls(_float32(max(-low, high) / 127), kind.lowest + 128, kind)
        scale = _float32((high - low) / 255)
        return cls(scale, int(np.clip(np.rint(kind.lowest - low / scale), kind.lowest, kind.highest)), kind)

    def rounded(self, values: npt.ArrayLike) -> Doubles:
        """The point of the grid nearest to each value (ties to even); values outside become the nearest end."""
        steps = np.rint(np.asarray(values, np.float64) / self.scale) + self.zero_point
        return np.asarray((np.clip(steps, self.kind.lowest, self.kind.highest) - self.zero_point) * self.scale)

    @property
    def low(self) -> float:
        """Smallest point."""
        return (self.kind.lowest - self.zero_point) * self.scale

    @property
    def high(self) -> float:
        """Largest point."""
        return (self.kind.highest - self.zero_point) * self.scale


@dataclasses.dataclass(frozen=True)
class QuantizedWeight:
    """A weight as symmetric int8, one scale for each output channel.

    Attributes:
        integers: Int8, in the weight's shape.
        scales: `(O,)` float32.
        axis: Axis of the output channels.
    """

    integers: npt.NDArray[np.int8]
    scales: Floats
    axis: int = 0

    def dequantize(self) -> Floats:
        """The weight that the integers stand for, float32."""
        shape = [1] * self.integers.ndim
        shape[self.axis] = -1
        return (self.integers * self.scales.astype(np.float64).reshape(shape)).astype(np.float32)


def quantize_weight(weight: Floats, axis: int = 0, bits: int = 8, smallest: Floats | float = 0.0) -> QuantizedWeight:
    """Rounds a weight to symmetric int8 with one scale for each output channel.

    Args:
        weight: `(O, I, ...)`, with the output channels on `axis` instead of the first one.
        axis: Axis of the output channels.
        bits: 8 uses -127..127. 7 uses at least -63..63, and as much more as keeps the products of `neighbours` in 16
            bits.
        smallest: `(O,)` or one for all: scales are not smaller; what `scales_for_bias` returns.
    """
    rows = np.moveaxis(weight, axis, 0)
    flat = rows.astype(np.float64).reshape(len(rows), -1)
    needed = np.abs(flat).max(axis=1) / WEIGHT_STEPS
    if bits == 7:
        needed = np.maximum(needed, _sums(rows.astype(np.float64)) / (NEIGHBOUR_STEPS - _SUM_MARGIN))
    scales = np.maximum(np.maximum(needed, smallest), SMALLEST_SCALE).astype(np.float32)
    steps = np.clip(np.rint(flat / scales.astype(np.float64)[:, None]), -WEIGHT_STEPS, WEIGHT_STEPS)
    integers = np.moveaxis(steps.astype(np.int8).reshape(rows.shape), 0, axis)
    return QuantizedWeight(integers, scales, axis % weight.ndim)


def neighbours(rows: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The two weights of every pair whose products x86 without VNNI adds in 16 bits.

    VPMADDUBSW multiplies u8 with s8 and adds neighbouring products with saturation. ONNX Runtime's kernels go through
    a filter position by position and channel by channel, in pairs from the first on. Where the number of channels is
    odd, other engines begin anew at every position, so any two neighbours count as a pair.

    Args:
        rows: `(O, I, ...)`.

    Returns:
        `(O, pairs)` both.
    """
    order = np.moveaxis(rows, 1, -1).reshape(len(rows), -1) if rows.ndim > 1 else rows.reshape(len(rows), -1)
    step = 1 if rows.ndim > 2 and rows.shape[1] % 2 else 2
    first, second = order[:, :-1:step], order[:, 1::step]
    return first, second


def _sums(rows: Doubles) -> Doubles:
    """The largest sum of two neighbours of one sign, `(O,)`.

    Rounding lifts a sum of two by one at most, so a sum below `NEIGHBOUR_STEPS` does not exceed it afterwards.
    """
    pairs = np.stack(neighbours(rows))  # (2, O, pairs)
    largest: Doubles = np.max(
        [np.maximum(sign * pairs, 0).sum(axis=0).max(axis=1, initial=0) for sign in (1, -1)], axis=0
    )
    return largest


def scales_for_bias(bias: npt.ArrayLike, input_scale: float) -> Floats:
    """The smallest weight scales with which each channel's bias fits int32, with room for the sum of the products.

    A channel whose weights are about zero has a tiny scale, and any bias is a huge number of such steps. With this
    scale it is `BIAS_STEPS` steps. Rounding a weight to it moves the result by at most half a step for each step of the
    input: with 255 of these and a thousand inputs, by a ten-thousandth of the bias.

    Args:
        bias: `(O,)`.
        input_scale: Scale of the input.

    Returns:
        `(O,)` float32.
    """
    return np.asarray(np.abs(np.asarray(bias, np.float64)) / (np.float64(input_scale) * BIAS_STEPS), np.float32)


def quantize_bias(bias: npt.ArrayLike, input_scale: float, weight_scales: Floats) -> npt.NDArray[np.int32]:
    """Bias as int32 in steps of `input_scale * weight_scales`, the unit that an integer convolution accumulates in.

    Raises:
        ValueError: A bias does not fit int32; `scales_for_bias` says how large the scales must be.
    """
    steps = np.rint(np.asarray(bias, np.float64) / (np.float64(input_scale) * weight_scales.astype(np.float64)))
    if not (np.abs(steps) <= INT32_MAX).all():
        raise ValueError(f"a bias of {np.abs(steps).max():.3g} steps does not fit int32")
    return steps.astype(np.int32)


def _float32(scale: float) -> float:
    """Rounded to float32, so that our arithmetic and an engine's use the same number."""
    return float(np.float32(max(scale, SMALLEST_SCALE)))
