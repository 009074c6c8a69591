"""float32 ONNX graph -> float16, except for the operators that float16 would make wrong."""

from __future__ import annotations

import onnx
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

FLOAT32_OPERATORS = ("Softmax", "LayerNormalization", "InstanceNormalization", "Resize", "ArgMax")
"""Operators that stay in float32.

Softmax over N tokens gives values near 1/N, which is below float16's smallest normal number (6e-5) from N = 16,384 on;
the norms sum squares over up to N values, which exceeds float16's range (65,504).
"""


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Converts weights and arithmetic to float16; inputs and outputs keep their types.

    The product of the softmax over tokens with V sums N tiny values, so it stays in float32 like the softmax itself.
    """
    softmaxed = {node.output[0] for node in model.graph.node if node.op_type == "Softmax"}
    transposed = {n.output[0] for n in model.graph.node if n.op_type == "Transpose" and n.input[0] in softmaxed}
    core = [n.name for n in model.graph.node if softmaxed & set(n.input) or transposed & set(n.input)]
    converted: onnx.ModelProto = convert_float_to_float16(
        model,
        keep_io_types=True,
        op_block_list=[*DEFAULT_OP_BLOCK_LIST, *FLOAT32_OPERATORS],
        node_block_list=core,
    )
    OnnxModel(converted).topological_sort()  # the converter appends its casts at the end
    return converted
