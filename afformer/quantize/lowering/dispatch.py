"""The passes in their order, and the doors of this package."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import onnx

from afformer.errors import QuantizeError
from afformer.quantize.lowering.channels_last_norm import move_norms_to_channels_last
from afformer.quantize.lowering.graph import Graph
from afformer.quantize.lowering.group_norm import fold_group_norm
from afformer.quantize.lowering.integer import lower_to_integers
from afformer.quantize.lowering.narrow import narrow_matrices
from afformer.quantize.lowering.pad_channels import pad_channels
from afformer.quantize.lowering.plan import Plan, declines
from afformer.quantize.lowering.qdq import VIEWS, lower_to_qdq, stays_float
from afformer.quantize.lowering.report import Lowered, Unit
from afformer.quantize.lowering.unshare import unshare_biases
from afformer.quantize.placement import TABLE, Form, Target
from afformer.quantize.ranges import Ranges
from afformer.spec import METADATA_KEY, ModelSpec, Precision

Pass = Callable[[onnx.ModelProto], onnx.ModelProto]

PREPARATION: tuple[Pass, ...] = (
    fold_group_norm,
    unshare_biases,
    pad_channels,  # last, because it renames the weights that it fills up
)
ACTIVATIONS = ("HardSwish", "Gelu")


def prepare(model: onnx.ModelProto) -> onnx.ModelProto:
    """A float graph rewritten into the form that is quantized: still float, still the same function, deterministic.

    Raises:
        QuantizeError: The model is quantized already, or not in float32.
    """
    _check(model)
    for rewrite in PREPARATION:
        model = rewrite(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def tensors_to_observe(prepared: onnx.ModelProto, target: Target) -> list[str]:
    """Names of the tensors whose ranges `lower` needs, whatever is kept in float; the input first."""
    graph, scheme = Graph(prepared), TABLE[target]
    found: dict[str, None] = {}
    for node in graph.nodes:
        if node.op_type not in scheme.quantized or declines(graph, node, scheme, frozenset()):
            continue
        for name in graph.activations(node):
            found[name] = None
            while (
                (maker := graph.producer.get(name)) is not None and maker.op_type in VIEWS and scheme.form is Form.QDQ
            ):
                name = maker.input[0]  # noqa: PLW2901 - the pair may stand before the view
                found[name] = None
        if scheme.form is Form.INTEGER or scheme.bytes_across_layouts:
            found[node.output[0]] = None
    return [name for name in found if name not in graph.constants]


def lower(
    prepared: onnx.ModelProto,
    ranges: Ranges,
    target: Target,
    keep_float: frozenset[str] = frozenset(),
    weight_bits: int = 8,
) -> Lowered:
    """The INT8 model.

    Args:
        prepared: What `prepare` returned.
        ranges: Of the tensors that `tensors_to_observe` names.
        target: What the model is made for.
        keep_float: Names of nodes that stay in float.
        weight_bits: 8, or 7 for x86 without VNNI, whose 16-bit sums saturate otherwise.

    Raises:
        QuantizeError: A range is missing, or `keep_float` names a node that is not there.
    """
    unknown = keep_float - {node.name for node in prepared.graph.node}
    if unknown:
        raise QuantizeError(f"cannot keep '{min(unknown)}' in float: the prepared model has no node of that name")
    if weight_bits not in (7, 8):
        raise QuantizeError(f"weights must have 7 or 8 bits, got {weight_bits}")
    scheme = TABLE[target]
    if scheme.form is Form.INTEGER:
        lowered = lower_to_integers(move_norms_to_channels_last(prepared), ranges, scheme, keep_float, weight_bits)
    else:
        lowered = lower_to_qdq(prepared, ranges, scheme, keep_float, weight_bits)
    model = narrow_matrices(lowered.model)
    _stamp(model)
    return dataclasses.replace(lowered, model=model)


def units(prepared: onnx.ModelProto, target: Target) -> list[Unit]:
    """What a search may send back to float together: a convolution with its integer activation, or an add."""
    scheme = TABLE[target]
    if scheme.form is Form.INTEGER:
        graph = Graph(move_norms_to_channels_last(prepared))
        stayed = Plan(graph, scheme, frozenset()).stayed
    else:
        graph = Graph(prepared)
        stayed = stays_float(graph, scheme, frozenset())
    found = []
    for node in graph.nodes:
        if node.op_type not in scheme.quantized or node.op_type in ACTIVATIONS or node.name in stayed:
            continue
        follower = graph.only_consumer(node.output[0]) if node.op_type == "Conv" else None
        names = {node.name}
        if follower is not None and follower.op_type in ACTIVATIONS and follower.name not in stayed:
            names.add(follower.name)
        found.append(Unit(node.name.removesuffix("/Conv"), frozenset(names)))
    return found


def _check(model: onnx.ModelProto) -> None:
    if any(node.op_type in ("QuantizeLinear", "QLinearConv") for node in model.graph.node):
        raise QuantizeError("the model is quantized already; expected a float32 export")
    if any(i.data_type == onnx.TensorProto.FLOAT16 for i in model.graph.initializer):
        raise QuantizeError("the model is in float16; expected a float32 export, export it again with precision fp32")


def _stamp(model: onnx.ModelProto) -> None:
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            spec = ModelSpec.from_json(entry.value)
            entry.value = dataclasses.replace(spec, precision=Precision.INT8).to_json()
