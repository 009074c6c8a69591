"""Reading and writing ONNX graphs: an index of producers, readers and shapes, and a builder for new graphs."""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]
CONTRIB = "com.microsoft"
"""Operator domain of ONNX Runtime's own integer operators."""


class Graph:
    """A model's graph, indexed. It must not change while in use: passes make a new one with `rebuilt` or `Builder`."""

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

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape, which is known for every tensor of an exported model."""
        if name in self.constants:
            return self.constants[name].shape
        return self._shapes[name]

    @functools.cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        inferred = onnx.shape_inference.infer_shapes(self.model, strict_mode=True, data_prop=True).graph
        values = [*inferred.value_info, *inferred.input, *inferred.output]
        return {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in values}

    def bias(self, convolution: onnx.NodeProto) -> npt.NDArray[np.float32]:
        """The bias of a convolution, `(O,)`; zeros if it has none."""
        _, weight, *bias = convolution.input
        return self.constants[bias[0]] if bias else np.zeros(len(self.constants[weight]), np.float32)

    def maker(self, name: str, op_type: str) -> onnx.NodeProto | None:
        """The node that makes a tensor, if it is of that type, else None."""
        node = self.producer.get(name)
        return node if node is not None and node.op_type == op_type else None

    def only_consumer(self, name: str) -> onnx.NodeProto | None:
        """The only node that reads a tensor; None if there are several, or if it is an output of the model."""
        readers = self.consumers[name]
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def activations(self, node: onnx.NodeProto) -> list[str]:
        """The node's inputs that are not constants."""
        return [name for name in node.input if name and name not in self.constants]


@dataclasses.dataclass
class Builder:
    """Collects the nodes and constants of a new graph and keeps their names unique."""

    nodes: list[onnx.NodeProto] = dataclasses.field(default_factory=list)
    constants: dict[str, Array] = dataclasses.field(default_factory=dict)
    _node_names: set[str] = dataclasses.field(default_factory=set)

    def constant(self, name: str, value: Array) -> str:
        """Adds a constant and returns its name, which changes if another value has that name already."""
        known = self.constants.setdefault(name, value)
        if known is not value and not (known.dtype == value.dtype and np.array_equal(known, value)):
            return self.constant(name + "'", value)
        return name

    def add(
        self, op_type: str, inputs: Sequence[str], output: str, name: str = "", domain: str = "", **attributes: Any
    ) -> str:
        """Adds a node with one output and returns the output's name."""
        node = helper.make_node(
            op_type, list(inputs), [output], name=name or f"{output}/{op_type}", domain=domain, **attributes
        )
        self.append(node)
        return output

    def append(self, node: onnx.NodeProto) -> None:
        """Adds a node."""
        assert node.name not in self._node_names, f"two nodes named {node.name}"
        self._node_names.add(node.name)
        self.nodes.append(node)

    def model(self, original: onnx.ModelProto) -> onnx.ModelProto:
        """The new graph as a model with the inputs, outputs, metadata and operator sets of `original`.

        Constants that nothing reads are left out.
        """
        made = onnx.ModelProto()
        made.CopyFrom(original)
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
    """An attribute's value, or the default if the node does not have it."""
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def copy_of(node: onnx.NodeProto, inputs: Iterable[str] | None = None) -> onnx.NodeProto:
    """A copy of a node, with other inputs if they are given."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    if inputs is not None:
        copy.input[:] = inputs
    return copy


def renamed(node: onnx.NodeProto, names: Mapping[str, str]) -> onnx.NodeProto:
    """A copy that reads other tensors, by their old names."""
    return copy_of(node, [names.get(name, name) for name in node.input])


def rebuilt(
    graph: Graph, replaced: Mapping[str, Sequence[onnx.NodeProto]], constants: Mapping[str, Array] | None = None
) -> onnx.ModelProto:
    """The graph with some nodes replaced, and without the constants that nothing reads any more.

    Args:
        graph: The graph to start from.
        replaced: Node name -> the nodes that take its place, in order; none removes the node. If empty, the model
            itself is returned.
        constants: New constants.
    """
    if not replaced:
        return graph.model
    builder = Builder(constants={**graph.constants, **(constants or {})})
    for node in graph.nodes:
        for new in replaced.get(node.name, [node]):
            builder.append(new)
    return builder.model(graph.model)
