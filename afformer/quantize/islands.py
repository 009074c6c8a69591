"""What each unit changes in the float graph: a few nodes, whose results the rest of the graph reads by their old names.

Let F be the graph with all units in float and I the one with some of them in integers. The nodes of I that F lacks fall
into islands, connected parts that touch each other nowhere. If each island belongs to one unit, then F with one island
in it is the graph lowered with that unit alone in integers. So a few lowerings, each of many units that keep apart,
serve for all units.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import onnx

from afformer.quantize.lowering import Unit
from afformer.quantize.lowering.equalise import VIEWS

Build = Callable[[frozenset[str]], onnx.ModelProto]
"""Makes the model in which the units of these names stay in float."""


@dataclasses.dataclass(frozen=True)
class Island:
    """What a unit in integers changes; nothing, if it cannot be in integers alone.

    Attributes:
        nodes: The new nodes, in execution order. They read one another, their constants and tensors of the float graph.
        constants: Constants of the model that they were found in, by name.
    """

    nodes: tuple[onnx.NodeProto, ...] = ()
    constants: Mapping[str, onnx.TensorProto] = dataclasses.field(default_factory=dict)


def islands_of(
    units: Sequence[Unit], build: Build, canonical: onnx.ModelProto, floats: onnx.ModelProto
) -> dict[str, Island]:
    """The island of each unit, by its name.

    Args:
        units: All units.
        build: Lowers them. It keeps the names of nodes that become integer operators.
        canonical: The graph that is lowered.
        floats: The model with all units in float.
    """
    everything = frozenset(unit.name for unit in units)
    apart = _touching(units, canonical)
    found: dict[str, Island] = {}
    while waiting := [unit for unit in units if unit.name not in found]:
        together = _keeping_apart(waiting, apart)
        lowered = build(everything - {unit.name for unit in together})
        found |= _shared_out(together, _new_parts(floats, lowered), lowered, apart)
    return found


def _touching(units: Sequence[Unit], canonical: onnx.ModelProto) -> dict[str, set[str]]:
    """By unit, those that have a tensor in common with it: lowered together, they would share or save conversions."""
    unit_of = {node: unit.name for unit in units for node in unit.nodes}
    users: dict[str, set[str]] = {}
    for node in canonical.graph.node:
        if node.name in unit_of:
            for tensor in (*node.input, *node.output):
                users.setdefault(tensor, set()).add(unit_of[node.name])
    apart: dict[str, set[str]] = {unit.name: set() for unit in units}
    for names in users.values():
        _keep_apart(apart, names)
    return apart


def _keep_apart(apart: dict[str, set[str]], names: set[str]) -> None:
    for name in names:
        apart[name] |= names - {name}


def _keeping_apart(waiting: Sequence[Unit], apart: Mapping[str, set[str]]) -> list[Unit]:
    """As many of the units as keep apart, taken in their order."""
    chosen: dict[str, Unit] = {}
    for unit in waiting:
        if not apart[unit.name] & chosen.keys():
            chosen[unit.name] = unit
    return list(chosen.values())


def _shared_out(
    together: Sequence[Unit],
    parts: Sequence[Sequence[onnx.NodeProto]],
    lowered: onnx.ModelProto,
    apart: dict[str, set[str]],
) -> dict[str, Island]:
    """The islands of units that were lowered together.

    Units in the same part are left out, and keep apart from now on. A part without any unit in it may be anyone's.
    """
    own: dict[str, list[onnx.NodeProto]] = {unit.name: [] for unit in together}
    for part in parts:
        names = {node.name for node in part}
        holders = {unit.name for unit in together if unit.nodes & names} or set(own)
        _keep_apart(apart, holders)
        for holder in holders:
            own[holder] += part
    constants = {constant.name: constant for constant in lowered.graph.initializer}
    return {name: Island(tuple(nodes), constants) for name, nodes in own.items() if not apart[name] & own.keys()}


def _new_parts(floats: onnx.ModelProto, lowered: onnx.ModelProto) -> list[list[onnx.NodeProto]]:
    """The connected parts of the nodes that `floats` lacks, each in execution order."""
    part_of: dict[str, int] = {}  # by tensor
    new = _new_nodes(floats, lowered)
    for number, node in enumerate(new):
        touched = {part_of[name] for name in node.input if name in part_of}
        part_of = {name: number if part in touched else part for name, part in part_of.items()}
        part_of |= dict.fromkeys(node.output, number)
    parts: dict[int, list[onnx.NodeProto]] = {}
    for node in new:
        parts.setdefault(part_of[node.output[0]], []).append(node)
    return list(parts.values())


def _new_nodes(floats: onnx.ModelProto, lowered: onnx.ModelProto) -> list[onnx.NodeProto]:
    """What `floats` lacks: nodes with other inputs or attributes, or with a constant of another value.

    Views of their results belong to them: a tensor may be quantized before the views through which a unit reads it.
    """
    known = {node.SerializeToString(deterministic=True) for node in floats.graph.node}
    old = {constant.name: constant for constant in floats.graph.initializer}
    changed = {constant.name for constant in lowered.graph.initializer if old.get(constant.name) != constant}
    new: list[onnx.NodeProto] = []
    made: set[str] = set()
    for node in lowered.graph.node:
        views = node.op_type in VIEWS and node.input[0] in made
        if views or changed.intersection(node.input) or node.SerializeToString(deterministic=True) not in known:
            new.append(node)
            made.update(node.output)
    return new
