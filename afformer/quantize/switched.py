"""A float graph with switches: an input chooses which one of some units runs on integers.

For each tensor t that the island of unit k computes anew,

    t = If(active = k, then what the island computes, else the float tensor)

What depends on none of these tensors is cut off and becomes inputs: it is the same whichever unit is active.
"""

from __future__ import annotations

import dataclasses
import graphlib
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import TypeVar

import onnx
from onnx import TensorProto, helper

from afformer.quantize.islands import Island
from afformer.quantize.lowering.graph import CONTRIB, Graph, copy_of, renamed

ACTIVE = "active unit"
"""The input that chooses: the position, int64, of a unit's island; any other number leaves all units in float."""
NOISY = "with noise"
"""The output."""

ProtoT = TypeVar("ProtoT", TensorProto, onnx.ValueInfoProto)


@dataclasses.dataclass(frozen=True)
class Switched:
    """A graph with switches.

    Attributes:
        model: Its output is the tensor that was asked for.
        inputs: Its inputs except `ACTIVE`, and for each the tensor of the float graph that it takes.
    """

    model: onnx.ModelProto
    inputs: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class _Step:
    """A node, and the tensors that it reads, those of its branches included."""

    node: onnx.NodeProto
    reads: frozenset[str]

    @classmethod
    def of(cls, node: onnx.NodeProto) -> _Step:
        return cls(node, frozenset(name for name in node.input if name))


def with_switches(
    floats: Graph, types: Mapping[str, onnx.ValueInfoProto], islands: Sequence[Island], output: str
) -> Switched:
    """The part of a float graph between some units and a tensor.

    Args:
        floats: The graph with all units in float.
        types: Types and shapes of its tensors.
        islands: Those of the units.
        output: Name of the tensor.
    """
    read = {name for node in floats.nodes for name in node.input} & floats.producer.keys() | {output}
    switches = [step for number, island in enumerate(islands) for step in _switches(island, number, read)]
    switched = {name for step in switches for name in step.node.output if name in read}
    end = _Step.of(helper.make_node("Identity", [output], [NOISY]))
    taken = _leading_to(NOISY, [*switches, *_behind(floats, switched), *_fixed(floats), end])
    constants = {constant.name: constant for constant in floats.model.graph.initializer}
    constants |= {constant.name: constant for constant in map(_number, range(len(islands)))}
    needed = {name for step in taken for name in step.reads}
    outer = sorted(needed - {name for step in taken for name in step.node.output} - constants.keys() - {ACTIVE})
    original = {_in_float(name): name for name in switched}
    inputs = {name: original.get(name, name) for name in outer}
    values = [_named(types[tensor], name) for name, tensor in inputs.items()]
    graph = helper.make_graph(
        [step.node for step in taken],
        "switched",
        [helper.make_tensor_value_info(ACTIVE, TensorProto.INT64, []), *values],
        [_named(types[output], NOISY)],
        [constants[name] for name in sorted(needed & constants.keys())],
    )
    return Switched(_model(graph, floats.model), inputs)


def _switches(island: Island, number: int, read: Set[str]) -> Iterator[_Step]:
    """A switch for each tensor of the float graph, `read`, that the island computes; before them their condition."""
    condition = f"{_number(number).name} is active"
    yield _Step.of(helper.make_node("Equal", [ACTIVE, _number(number).name], [condition]))
    for name in [name for node in island.nodes for name in node.output if name in read]:
        branch, outer = _branch(island, name)
        kept = _graph([helper.make_node("Identity", [_in_float(name)], [f"{name}, kept"])], f"{name}, kept")
        node = helper.make_node("If", [condition], [name], then_branch=branch, else_branch=kept)
        yield _Step(node, frozenset({condition, _in_float(name), *outer}))


def _branch(island: Island, output: str) -> tuple[onnx.GraphProto, set[str]]:
    """The part of an island that computes a tensor, under names of its own; and what it reads from outside."""
    steps = _leading_to(output, [_Step.of(node) for node in island.nodes])
    needed = {name for step in steps for name in step.reads}
    constants = [island.constants[name] for name in sorted(needed & island.constants.keys())]
    made = {name for step in steps for name in step.node.output}
    own = {name: f"{output}, integer, {name}" for name in (*made, *(constant.name for constant in constants))}
    nodes = [renamed(step.node, own) for step in steps]
    for node in nodes:
        node.output[:] = [own[name] for name in node.output]
    return _graph(
        nodes, own[output], [_named(constant, own[constant.name]) for constant in constants]
    ), needed - own.keys()


def _behind(floats: Graph, switched: set[str]) -> Iterator[_Step]:
    """The nodes that depend on a switch; where one makes a switched tensor, it does so under another name."""
    moving = set(switched)
    for node in floats.nodes:
        if moving.intersection(node.input):
            moving.update(node.output)
            copy = copy_of(node)
            copy.output[:] = [_in_float(name) if name in switched else name for name in node.output]
            yield _Step.of(copy)


def _fixed(floats: Graph) -> Iterator[_Step]:
    """The nodes that depend on constants only."""
    fixed = set(floats.constants)
    for node in floats.nodes:
        if fixed.issuperset(name for name in node.input if name):
            fixed.update(node.output)
            yield _Step.of(node)


def _leading_to(output: str, steps: Sequence[_Step]) -> list[_Step]:
    """The steps that a tensor needs, in execution order."""
    maker = {name: index for index, step in enumerate(steps) for name in step.node.output}
    before: dict[int, set[int]] = {}
    waiting = [maker[output]]
    while waiting:
        index = waiting.pop()
        if index not in before:
            before[index] = {maker[name] for name in steps[index].reads if name in maker}
            waiting += before[index]
    return [steps[index] for index in graphlib.TopologicalSorter(before).static_order()]


def _in_float(name: str) -> str:
    return f"{name}, in float"


def _number(number: int) -> TensorProto:
    """The constant that `ACTIVE` is compared with."""
    return helper.make_tensor(f"unit {number}", TensorProto.INT64, [], [number])


def _graph(nodes: Sequence[onnx.NodeProto], output: str, constants: Sequence[TensorProto] = ()) -> onnx.GraphProto:
    return helper.make_graph(nodes, output, [], [onnx.ValueInfoProto(name=output)], constants)


def _named(like: ProtoT, name: str) -> ProtoT:
    """A copy under another name."""
    copy = type(like)()
    copy.CopyFrom(like)
    copy.name = name
    return copy


def _model(graph: onnx.GraphProto, like: onnx.ModelProto) -> onnx.ModelProto:
    opsets = [entry for entry in like.opset_import if entry.domain != CONTRIB]
    return helper.make_model(
        graph, opset_imports=[*opsets, helper.make_opsetid(CONTRIB, 1)], ir_version=like.ir_version
    )
