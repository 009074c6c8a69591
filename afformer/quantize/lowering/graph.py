"""Reading and writing ONNX graphs: who makes what, who reads it, of which shape; and a builder for new ones."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]
CONTRIB = "com.microsoft"
"""Operator domain of ONNX Runtime's own integer operators."""


class Graph:
    """A model's graph, indexed. Not to be changed while in use: passes build a new one with `Builder`."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.nodes: list[onnx.NodeProto] = list(model.graph.node)
        self.constants: dict[str, Array] = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
        self.inputs = [i.name for i in model.graph.input]
        self.outputs = [o.name for o in model.graph.output]
        self.producer: dict[str, onnx.NodeProto] = {name: node for node in self.nodes for name in node.output}
        self.consumers: dict[str, list[onnx.NodeProto]] = collections.defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                self.consumers[name].append(node)
        self._shapes = _shapes(model)

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape; every tensor of an exported model has a known one."""
        if name in self.constants:
            return self.constants[name].shape
        return self._shapes[name]

    def maker(self, name: str, op_type: str) -> onnx.NodeProto | None:
        """The node that makes a tensor, if it is of that type."""
        node = self.producer.get(name)
        return node if node is not None and node.op_type == op_type else None

    def only_consumer(self, name: str) -> onnx.NodeProto | None:
        """The one node that reads a tensor, None if there are more or the model puts it out."""
        readers = self.consumers[name]
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def activations(self, node: onnx.NodeProto) -> list[str]:
        """The node's inputs that are no constants."""
        return [name for name in node.input if name and name not in self.constants]


@dataclasses.dataclass
class Builder:
    """Collects nodes and constants of a new graph, names kept unique."""

    nodes: list[onnx.NodeProto] = dataclasses.field(default_factory=list)
    constants: dict[str, Array] = dataclasses.field(default_factory=dict)
    _node_names: set[str] = dataclasses.field(default_factory=set)

    def constant(self, name: str, value: Array) -> str:
        """Adds a constant; the same name with the same value is the same constant."""
        known = self.constants.setdefault(name, value)
        if known is not value and not (known.dtype == value.dtype and np.array_equal(known, value)):
            return self.constant(name + "'", value)
        return name

    def add(
        self, op_type: str, inputs: Sequence[str], output: str, name: str = "", domain: str = "", **attributes: Any
    ) -> str:
        """Adds a node with one output, and returns that output's name."""
        node = helper.make_node(
            op_type, list(inputs), [output], name=name or f"{output}/{op_type}", domain=domain, **attributes
        )
        self.append(node)
        return output

    def append(self, node: onnx.NodeProto) -> None:
        """Adds a ready node."""
        assert node.name not in self._node_names, f"two nodes named {node.name}"
        self._node_names.add(node.name)
        self.nodes.append(node)

    def model(self, source: onnx.ModelProto) -> onnx.ModelProto:
        """The built graph with `source`'s inputs, outputs, metadata and operator sets, without unused constants."""
        made = onnx.ModelProto()
        made.CopyFrom(source)
        del made.graph.node[:], made.graph.initializer[:], made.graph.value_info[:]
        made.graph.node.extend(self.nodes)
        used = {name for node in self.nodes for name in node.input}
        made.graph.initializer.extend(
            numpy_helper.from_array(np.asarray(v, order="C"), k) for k, v in self.constants.items() if k in used
        )
        if any(node.domain == CONTRIB for node in self.nodes) and all(o.domain != CONTRIB for o in made.opset_import):
            made.opset_import.append(helper.make_opsetid(CONTRIB, 1))
        return made


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """An attribute's value."""
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def renamed(node: onnx.NodeProto, names: dict[str, str]) -> onnx.NodeProto:
    """A copy that reads other tensors."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = [names.get(name, name) for name in node.input]
    return copy


def rebuilt(
    graph: Graph, removed: Iterable[str], added: dict[str, list[onnx.NodeProto]], constants: dict[str, Array]
) -> onnx.ModelProto:
    """The graph without the nodes named in `removed`; `added[name]` stands in place of the (removed) node `name`."""
    builder = Builder(constants={**graph.constants, **constants})
    gone = set(removed)
    for node in graph.nodes:
        for new in added.get(node.name, []):
            builder.append(new)
        if node.name not in gone:
            builder.append(node)
    return builder.model(graph.model)


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    values = [*inferred.value_info, *inferred.input, *inferred.output]
    return {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in values}
