from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest

from afformer.quantize.islands import Island, islands_of
from afformer.quantize.lowering import Unit

Replaced = dict[str, list[tuple[str, str, str, str]]]
"""Node -> the nodes that take its place: operator type, input, output, name."""

LINE = """
    <ir_version: 9, opset_import: ["" : 18]>
    line (float[1, 3, 4, 4] image) => (float[1, 3, 4, 4] logits) {
        a = Relu (image)
        b = Neg (a)
        c = Relu (b)
        d = Neg (c)
        logits = Relu (d)
    }"""
A, C, LAST = (Unit(name, frozenset({name})) for name in ("a", "c", "logits"))


def line() -> onnx.ModelProto:
    """Three units with an operator between each two; nodes have the names of their results."""
    model = onnx.parser.parse_model(LINE)
    for node in model.graph.node:
        node.name = node.output[0]
    return model


def rounding(name: str, source: str) -> list[tuple[str, str, str, str]]:
    """What stands for an integer operator: two nodes."""
    return [("Round", source, f"{name}.rounded", f"{name}/Round"), ("Relu", f"{name}.rounded", name, name)]


OWN: Replaced = {"a": rounding("a", "image"), "c": rounding("c", "b"), "logits": rounding("logits", "d")}


def each(integers: set[str]) -> Replaced:
    return {name: OWN[name] for name in integers}


class Lowering:
    """Puts the nodes of integer units into the line, and remembers which units were to be integers."""

    def __init__(self, replaced: Callable[[set[str]], Replaced] = each) -> None:
        self.asked: list[set[str]] = []
        self.units: set[str] = set()
        self._replaced = replaced

    def __call__(self, floats: frozenset[str]) -> onnx.ModelProto:
        integers = self.units - floats
        self.asked.append(integers)
        replaced = self._replaced(integers)
        model = line()
        nodes: list[onnx.NodeProto] = []
        for node in model.graph.node:
            made = replaced.get(node.name)
            new = [onnx.helper.make_node(kind, [source], [to], name) for kind, source, to, name in made or ()]
            nodes += [node] if made is None else new
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        return model


def found_by(lowering: Lowering, *units: Unit) -> dict[str, list[str]]:
    """The results of the nodes of each island."""
    floats = lowering(frozenset())
    lowering.asked.clear()
    lowering.units = {unit.name for unit in units}
    islands = islands_of(units, lowering, line(), floats)
    return {name: outputs(island) for name, island in islands.items()}


def outputs(island: Island) -> list[str]:
    return [node.output[0] for node in island.nodes]


EACH = {"a": ["a.rounded", "a"], "c": ["c.rounded", "c"], "logits": ["logits.rounded", "logits"]}
TWO = {"a": EACH["a"], "c": EACH["c"]}


def test_units_that_keep_apart_are_lowered_together() -> None:
    lowering = Lowering()
    assert found_by(lowering, A, C, LAST) == EACH
    assert lowering.asked == [{"a", "c", "logits"}]


def test_units_with_a_common_tensor_are_not_lowered_together() -> None:
    lowering = Lowering()
    between = Unit("c", frozenset({"b", "c"}))
    assert found_by(lowering, A, between, LAST) == EACH
    assert lowering.asked == [{"a", "logits"}, {"c"}]


def test_units_that_share_new_nodes_are_lowered_again_apart() -> None:
    def joined(integers: set[str]) -> Replaced:
        bridge: Replaced = {"b": [("Neg", "a.rounded", "b.integer", "b")], "c": rounding("c", "b.integer")}
        return each(integers) | (bridge if {"a", "c"} <= integers else {})

    lowering = Lowering(joined)
    assert found_by(lowering, A, C, LAST) == EACH
    assert lowering.asked == [{"a", "c", "logits"}, {"a"}, {"c"}]


def test_new_nodes_that_could_be_of_any_unit_are_told_apart_by_lowering_each_alone() -> None:
    def extra(integers: set[str]) -> Replaced:
        return each(integers) | ({"d": [("Abs", "b", "d", "d")]} if "a" in integers else {})

    lowering = Lowering(extra)
    assert found_by(lowering, A, C) == {**TWO, "a": ["a.rounded", "a", "d"]}
    assert lowering.asked == [{"a", "c"}, {"a"}, {"c"}]


def test_a_view_of_something_new_belongs_to_it() -> None:
    def viewed(integers: set[str]) -> Replaced:
        return each(integers) | {"d": [("Transpose", "c", "d", "d")]}

    assert found_by(Lowering(viewed), A, C) == {**TWO, "c": ["c.rounded", "c", "d"]}


def test_a_unit_that_stays_in_float_when_it_is_alone_changes_nothing() -> None:
    assert found_by(Lowering(lambda integers: each(integers - {"c"})), A, C) == {**TWO, "c": []}


@pytest.mark.parametrize(("value", "changed"), [(1.0, []), (2.0, ["b"])])
def test_a_node_is_new_if_a_constant_has_another_value(value: float, changed: list[str]) -> None:
    def shifted(by: float) -> onnx.ModelProto:
        text = '<ir_version: 9, opset_import: ["" : 18]> shift (float[1] a) => (float[1] b) {b = Add (a, by)}'
        model = onnx.parser.parse_model(text)
        model.graph.node[0].name = "b"
        model.graph.initializer.append(onnx.helper.make_tensor("by", onnx.TensorProto.FLOAT, [1], [by]))
        return model

    unit = Unit("b", frozenset({"b"}))
    islands = islands_of([unit], lambda floats: shifted(value), shifted(1.0), shifted(1.0))
    assert outputs(islands["b"]) == changed
    assert [constant.float_data[0] for constant in islands["b"].constants.values()] == [value]
