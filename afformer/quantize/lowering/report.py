"""What lowering did, for people."""

from __future__ import annotations

import dataclasses

import onnx


@dataclasses.dataclass(frozen=True)
class Step:
    """A conversion that is left in the graph.

    Attributes:
        op_type: DequantizeLinear, QuantizeLinear or Transpose.
        tensor: The float graph's tensor that is converted.
        reason: Why it is there.
    """

    op_type: str
    tensor: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Report:
    """What lowering left.

    Attributes:
        steps: Every conversion, in execution order.
        stayed_float: Node name -> why it was not quantized.
        integer: Names of the nodes that became integer operators, or have quantized inputs.
    """

    steps: tuple[Step, ...]
    stayed_float: dict[str, str]
    integer: tuple[str, ...]

    def count(self, op_type: str) -> int:
        """How many conversions of a kind there are."""
        return sum(step.op_type == op_type for step in self.steps)


@dataclasses.dataclass(frozen=True)
class Lowered:
    """An INT8 model and what was done to get it."""

    model: onnx.ModelProto
    report: Report


@dataclasses.dataclass(frozen=True)
class Unit:
    """Nodes that go float or integer together.

    Attributes:
        name: For reports.
        nodes: Names in the prepared graph.
    """

    name: str
    nodes: frozenset[str]
