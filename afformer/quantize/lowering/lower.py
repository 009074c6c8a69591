"""The public functions of this package, and the passes in their order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import onnx

from afformer.errors import QuantizeError
from afformer.export.choices import OPSET
from afformer.export.opset import opset_of, to_opset
from afformer.onnx_file import spec_of, write_spec
from afformer.quantize.lowering.channels_last_norm import move_norms_to_channels_last
from afformer.quantize.lowering.equal_sum import is_division
from afformer.quantize.lowering.equalise import VIEWS
from afformer.quantize.lowering.float16_constants import store_matrices_as_float16
from afformer.quantize.lowering.gate import gate_of
from afformer.quantize.lowering.graph import Graph
from afformer.quantize.lowering.group_norm import fold_group_norm
from afformer.quantize.lowering.integer import lower_to_integers
from afformer.quantize.lowering.node_placement import NodePlacement, declines
from afformer.quantize.lowering.own_biases import duplicate_shared_biases
from afformer.quantize.lowering.pad_channels import pad_channels
from afformer.quantize.lowering.qdq import lower_to_qdq, stays_float
from afformer.quantize.lowering.result import Lowered, Unit
from afformer.quantize.placement import TABLE, QuantFormat, Scheme, Target
from afformer.quantize.ranges import Ranges
from afformer.spec import Precision

Pass = Callable[[onnx.ModelProto], onnx.ModelProto]

CANONICAL: tuple[Pass, ...] = (
    fold_group_norm,
    duplicate_shared_biases,
    pad_channels,  # last, because it renames the weights that it pads
)
ACTIVATIONS = ("HardSwish", "Gelu")


def canonicalize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrites a float graph into the shape that is quantized: still float, still the same function, deterministic.

    Its operator set has Gelu; `lower` goes back to an older one.

    Raises:
        QuantizeError: The model is quantized already, or not in float32.
    """
    _check(model)
    model = to_opset(model, max(OPSET, opset_of(model)))
    for rewrite in CANONICAL:
        model = rewrite(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def tensors_to_observe(canonical: onnx.ModelProto, target: Target) -> list[str]:
    """Names of the tensors whose ranges `lower` needs, whichever nodes are left in float; the input first."""
    graph, scheme = Graph(canonical), TABLE[target]
    found: dict[str, None] = {}
    for node in graph.nodes:
        if node.op_type not in scheme.quantized or declines(graph, node, scheme, frozenset()):
            continue
        for name in graph.activations(node):
            found |= dict.fromkeys(_through_views(graph, name) if scheme.format is QuantFormat.QDQ else [name])
        if scheme.format is QuantFormat.INTEGER or scheme.bytes_across_layouts:
            found[node.output[0]] = None
    return [name for name in found if name not in graph.constants]


def lower(
    canonical: onnx.ModelProto,
    ranges: Ranges,
    target: Target,
    keep_float: frozenset[str] = frozenset(),
    weight_bits: int = 8,
    *,
    opset: int | None = None,
) -> Lowered:
    """The INT8 model; its spec says so, if the float model has one.

    Args:
        canonical: What `canonicalize` returned.
        ranges: Of the tensors that `tensors_to_observe` names.
        target: What the model is made for.
        keep_float: Names of nodes that stay in float.
        weight_bits: 8, or 7 for x86 without VNNI, whose 16-bit sums would saturate; `quantize_weight` has the details.
        opset: ONNX operator set of the result; None takes the canonical graph's.

    Raises:
        QuantizeError: A range is missing, or `keep_float` names a node that is not there.
    """
    unknown = keep_float - {node.name for node in canonical.graph.node}
    if unknown:
        raise QuantizeError(f"cannot keep '{min(unknown)}' in float: the canonical model has no node of that name")
    if weight_bits not in (7, 8):
        raise QuantizeError(f"`weight_bits` must be 7 or 8, got {weight_bits}")
    scheme = TABLE[target]
    lower_graph = lower_to_integers if scheme.format is QuantFormat.INTEGER else lower_to_qdq
    lowered = lower_graph(_to_lower(canonical, scheme), ranges, scheme, keep_float, weight_bits)
    model = store_matrices_as_float16(lowered.model)
    model = to_opset(model, opset or opset_of(model))
    _stamp(model, target)
    return dataclasses.replace(lowered, model=model)


def units(canonical: onnx.ModelProto, target: Target) -> list[Unit]:
    """What a search returns to float together: a convolution and the activation or gate after it, or a sum."""
    scheme = TABLE[target]
    graph = Graph(_to_lower(canonical, scheme))
    stayed = (
        NodePlacement(graph, scheme, frozenset()).stayed
        if scheme.format is QuantFormat.INTEGER
        else stays_float(graph, scheme, frozenset())
    )
    found, covered = [], set[str]()
    for node in graph.nodes:
        if node.op_type in scheme.quantized and node.name not in {*stayed, *covered} and not is_division(node):
            names = {node.name, *(f.name for f in _company(graph, node) if f.name not in stayed)}
            found.append(Unit(node.name.removesuffix("/Conv"), frozenset(names)))
            covered |= names
    return found


def _company(graph: Graph, node: onnx.NodeProto) -> Sequence[onnx.NodeProto]:
    """The activation or the gate that follows a convolution, the divisions before an add."""
    if node.op_type == "Add":
        makers = [graph.maker(name, "Conv") for name in node.input]
        return [maker for maker in makers if maker is not None and is_division(maker)]
    if node.op_type != "Conv":
        return ()
    follower = graph.only_consumer(node.output[0])
    if follower is not None and follower.op_type in ACTIVATIONS:
        return (follower,)
    return gate_of(graph, node.output[0]) or ()


def _to_lower(canonical: onnx.ModelProto, scheme: Scheme) -> onnx.ModelProto:
    return move_norms_to_channels_last(canonical) if scheme.format is QuantFormat.INTEGER else canonical


def _through_views(graph: Graph, name: str) -> Iterator[str]:
    """The tensor and those it is a view of: a Q/DQ pair may stand before any of the views."""
    yield name
    while (maker := graph.producer.get(name)) is not None and maker.op_type in VIEWS:
        name = maker.input[0]
        yield name


def _check(model: onnx.ModelProto) -> None:
    if any(node.op_type in ("QuantizeLinear", "QLinearConv") for node in model.graph.node):
        raise QuantizeError("the model is quantized already; expected a float32 export")
    if any(i.data_type == onnx.TensorProto.FLOAT16 for i in model.graph.initializer):
        raise QuantizeError("the model is in float16; expected a float32 export, export it again with precision fp32")


def _stamp(model: onnx.ModelProto, target: Target) -> None:
    spec = spec_of(model, "the float model")
    tools = {**spec.tools, "onnx": onnx.__version__}
    write_spec(model, dataclasses.replace(spec, precision=Precision.INT8, target=target, tools=tools))
