"""What lowering returns."""

from __future__ import annotations

import dataclasses

import onnx


@dataclasses.dataclass(frozen=True)
class Conversion:
    """A conversion between number formats or layouts that is left in the graph.

    Attributes:
        op_type: DequantizeLinear, QuantizeLinear or Transpose.
        tensor: The float graph's tensor that is converted.
        reason: Why it is there.
    """

    op_type: str
    tensor: str
    reason: str


@dataclasses.dataclass(frozen=True)
class LoweringReport:
    """What became of the graph's nodes.

    Attributes:
        conversions: Every conversion, in execution order.
        stayed_float: Node name -> why it was not quantized.
        integer: Names of the nodes that became integer operators, or have quantized inputs.
    """

    conversions: tuple[Conversion, ...]
    stayed_float: dict[str, str]
    integer: tuple[str, ...]

    def count(self, op_type: str) -> int:
        """How many conversions of a kind there are."""
        return sum(conversion.op_type == op_type for conversion in self.conversions)


@dataclasses.dataclass(frozen=True)
class Lowered:
    """An INT8 model and what was done to get it."""

    model: onnx.ModelProto
    report: LoweringReport


@dataclasses.dataclass(frozen=True)
class Unit:
    """Nodes that are quantized or left in float together.

    Attributes:
        name: For reports.
        nodes: Names in the canonical graph.
    """

    name: str
    nodes: frozenset[str]
