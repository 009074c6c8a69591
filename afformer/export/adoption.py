"""Somebody else's ONNX model -> one of this package, given its spec: our names and class maps, fixed lengths."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from afformer.errors import SpecError
from afformer.onnx_file import load_onnx, write_spec
from afformer.runtime.backends.base import GraphTensor, TensorInfo, input_tensor, output_tensor
from afformer.runtime.backends.foreign_tensors import named_tensors
from afformer.spec import METADATA_KEY, ModelSpec
from afformer.spec_file import decide_spec


def adopted(path: Path, said: ModelSpec | None) -> tuple[onnx.ModelProto, ModelSpec]:
    """Reads a model; one without a spec gets the one that is said, and the tensors that it promises.

    Args:
        path: The model.
        said: What the caller says of it; None where it must have a spec of its own.

    Raises:
        BackendError: The file does not exist, or is not an ONNX model.
        SpecError: It has no readable spec and none is said, or the two contradict each other.
    """
    model = load_onnx(path)
    text = next((entry.value for entry in model.metadata_props if entry.key == METADATA_KEY), None)
    spec = decide_spec(text, said, str(path))
    if text is not None:
        return model, spec
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [_declared(value) for value in model.graph.input if value.name not in weights]
    named, output = named_tensors(spec, inputs, [_declared(value) for value in model.graph.output], path)
    spec = dataclasses.replace(named, input_name="", output_name="")
    model.graph.value_info.clear()  # they may name lengths that are fixed now
    _rename(model.graph, {named.input_name: input_tensor(spec).name, named.output_name: output_tensor(spec).name})
    _fix_endpoints(model.graph, spec, output)
    _name_nodes(model.graph)
    write_spec(model, spec)
    return _inferred(model, path), spec


def _declared(value: onnx.ValueInfoProto) -> GraphTensor:
    kind = value.type.tensor_type
    shape = tuple(length.dim_value if length.HasField("dim_value") else length.dim_param for length in kind.shape.dim)
    return GraphTensor(value.name, np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type)).name, shape)


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Renames tensors; others that have one of the new names make room."""
    names = {**{new: f"{new}/other" for new in names.values() if new not in names}, **names}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for inner in (attribute.g for attribute in node.attribute if attribute.HasField("g")):
            _rename(inner, names)
    for value in [*graph.input, *graph.output, *graph.initializer]:
        value.name = names.get(value.name, value.name)


def _fix_endpoints(graph: onnx.GraphProto, spec: ModelSpec, output: GraphTensor) -> None:
    """One input and one output, of the lengths and the types that the spec promises."""
    promised = output_tensor(spec)
    if output.dtype != promised.dtype.name or len(output.shape) != len(promised.shape):
        _append_conversion(graph, promised)
    graph.input.extend([_value(input_tensor(spec))])
    graph.output.extend([_value(promised)])
    for values in (graph.input, graph.output):
        del values[:-1]


def _append_conversion(graph: onnx.GraphProto, promised: TensorInfo) -> None:
    given = f"{promised.name}/given"
    for node in graph.node:
        node.output[:] = [given if name == promised.name else name for name in node.output]
        node.input[:] = [given if name == promised.name else name for name in node.input]
    shape = numpy_helper.from_array(np.array(promised.shape, np.int64), f"{promised.name}/shape")
    graph.initializer.append(shape)
    to = helper.np_dtype_to_tensor_dtype(promised.dtype)
    graph.node.extend(
        [
            helper.make_node("Reshape", [given, shape.name], [f"{given}/shaped"], f"{promised.name}/Reshape"),
            helper.make_node("Cast", [f"{given}/shaped"], [promised.name], f"{promised.name}/Cast", to=to),
        ]
    )


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Gives nodes without a name, or with that of another one, a name of their own."""
    used: set[str] = set()
    for number, node in enumerate(graph.node):
        if not node.name or node.name in used:
            node.name = f"{node.name or node.op_type}/{number}"
        used.add(node.name)


def _value(tensor: TensorInfo) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(tensor.name, helper.np_dtype_to_tensor_dtype(tensor.dtype), tensor.shape)


def _inferred(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """The model with all shapes that follow from the input's.

    Raises:
        SpecError: They contradict the promised output.
    """
    try:
        return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except Exception as error:  # onnx has no base class of its errors
        said = " ".join(str(error).split())[:200]
        raise SpecError(f"{path}: its shapes do not follow from the spec ({said}); correct the spec") from error
