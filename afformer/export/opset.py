"""Moves a graph between operator sets: older engines (TensorRT 8, OpenVINO, OpenCV) read older ones only.

Networks are traced at `OPSET`, and what changed since an older set is written in its terms:

| since | change                                                                            |
|-------|-----------------------------------------------------------------------------------|
| 20    | Gelu; before, `x (1 + erf(x / sqrt 2)) / 2`, which engines fuse                   |
| 19    | Cast has `saturate`, whose default changes nothing here                           |
| 18    | ReduceMean takes its axes as an input; Resize has `antialias` and an aspect policy |

From 20 to 23 nothing changed but the types that these operators take.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper

from afformer.export.choices import OPSET

_IR_VERSIONS = {17: 8, 18: 8, 19: 9}
"""The file format that came with an operator set: engines that know no newer set refuse a newer format."""
_ADDED = {"Resize": (18, ("antialias", "axes", "keep_aspect_ratio_policy")), "Cast": (19, ("saturate",))}
"""Operator -> the set that added these attributes. They are dropped, so they must have their defaults."""
_NEUTRAL = (0, 1, b"stretch")
_GELU = ("Div", "Erf", "Add", "Mul", "Mul")
_SQRT_2, _ONE, _HALF = "gelu.sqrt_2", "gelu.one", "gelu.half"
_CONSTANTS = {_SQRT_2: math.sqrt(2), _ONE: 1.0, _HALF: 0.5}


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the model's standard operator set."""
    return next(int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def to_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """A copy of a static graph of this package in another operator set.

    Args:
        model: In set 17 or later.
        opset: 17 to 23.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    before = opset_of(model)
    if opset >= OPSET > before:
        _fuse_gelus(made.graph)
    if opset < before:
        nodes = [new for node in made.graph.node for new in _older(node, made.graph, opset)]
        del made.graph.node[:]
        made.graph.node.extend(nodes)
    next(entry for entry in made.opset_import if entry.domain in ("", "ai.onnx")).version = opset
    made.ir_version = min(made.ir_version, _IR_VERSIONS.get(opset, made.ir_version))
    return made


def _older(node: onnx.NodeProto, graph: onnx.GraphProto, opset: int) -> Iterator[onnx.NodeProto]:
    if node.op_type == "Gelu" and opset < OPSET:
        yield from _decomposed(node, graph)
        return
    since, added = _ADDED.get(node.op_type, (0, ()))
    if opset < since:
        for attribute in [attribute for attribute in node.attribute if attribute.name in added]:
            assert helper.get_attribute_value(attribute) in _NEUTRAL, f"{node.name} needs {attribute.name}"
            node.attribute.remove(attribute)
    if node.op_type.startswith("Reduce") and opset < 18 and len(node.input) > 1:
        axes = next(numpy_helper.to_array(i) for i in graph.initializer if i.name == node.input[1])
        node.attribute.append(helper.make_attribute("axes", axes.tolist()))
        del node.input[1]
    yield node


def _decomposed(gelu: onnx.NodeProto, graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    (source,), (target,) = gelu.input, gelu.output
    known = {initializer.name for initializer in graph.initializer}
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.float32), name)
        for name, value in _CONSTANTS.items()
        if name not in known
    )
    names = [f"{target}.{part}" for part in ("scaled", "erf", "gate", "gated")] + [target]
    operands = ((source, _SQRT_2), (names[0],), (names[1], _ONE), (source, names[2]), (names[3], _HALF))
    for number, (op_type, inputs, output) in enumerate(zip(_GELU, operands, names, strict=True)):
        name = gelu.name if number == len(_GELU) - 1 else f"{gelu.name}/{number}"
        yield helper.make_node(op_type, inputs, [output], name=name)


def _fuse_gelus(graph: onnx.GraphProto) -> None:
    """Undoes `_decomposed`: an Erf and the nodes around it that were made with it."""
    makers = {output: node for node in graph.node for output in node.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for erf in [node for node in graph.node if node.op_type == "Erf"]:
        scale = makers.get(erf.input[0])
        chain = [scale, erf] if scale is not None else []
        while chain and len(chain) < len(_GELU) and len(readers.get(chain[-1].output[0], ())) == 1:
            chain.append(readers[chain[-1].output[0]][0])
        if tuple(node.op_type for node in chain) == _GELU and chain[0].input[1] == _SQRT_2:
            last = chain[-1]
            fused = helper.make_node("Gelu", [chain[0].input[0]], list(last.output), name=last.name, approximate="none")
            for node in chain[:-1]:
                graph.node.remove(node)
            last.CopyFrom(fused)
