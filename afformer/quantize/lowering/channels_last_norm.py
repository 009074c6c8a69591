"""LayerNormalization over channels, moved to a 4-D channels-last map.

The export normalises tokens: `(n, C, H, W)` -> reshape `(n, C, N)` -> transpose `(n, N, C)` -> norm, and back. Reshape
and transpose commute when the transpose goes first over four axes,

    transpose(0,2,1) . reshape(n,C,N)  =  reshape(n,N,C) . transpose(0,2,3,1)

and a norm over the last axis does not depend on how the axes before it are grouped. So the norm runs on `(n, H, W, C)`,
the layout of integer convolutions, where both transposes cost nothing.
"""

from __future__ import annotations

import onnx

from afformer.quantize.lowering.graph import Builder, Graph, attribute, rebuilt

TO_LAST = [0, 2, 3, 1]
TO_FIRST = [0, 3, 1, 2]


def move_norms_to_channels_last(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrites every Reshape, Transpose, LayerNormalization, Transpose, Reshape; other norms stay as they are.

    The norms' outputs keep their names. Returns the model itself if there is nothing to do.
    """
    graph = Graph(model)
    replaced: dict[str, list[onnx.NodeProto]] = {}
    for norm in graph.nodes:
        chain = _chain(graph, norm) if norm.op_type == "LayerNormalization" else None
        if chain is None:
            continue
        replaced |= {node.name: [] for node in chain}
        flat, to_tokens, _, to_map, unflat = chain
        new = Builder()
        last = new.add("Transpose", [flat.input[0]], to_tokens.output[0], to_tokens.name, perm=TO_LAST)
        new.add(
            "LayerNormalization", [last, *norm.input[1:]], norm.output[0], norm.name,
            axis=-1, epsilon=attribute(norm, "epsilon", 1e-5),
        )  # fmt: skip
        new.add("Transpose", [norm.output[0]], unflat.output[0], to_map.name, perm=TO_FIRST)
        replaced[unflat.name] = new.nodes
    return rebuilt(graph, replaced)


def _chain(graph: Graph, norm: onnx.NodeProto) -> list[onnx.NodeProto] | None:
    to_tokens = graph.maker(norm.input[0], "Transpose")
    flat = to_tokens and graph.maker(to_tokens.input[0], "Reshape")
    to_map = graph.only_consumer(norm.output[0])
    unflat = to_map and graph.only_consumer(to_map.output[0])
    if flat is None or to_tokens is None or to_map is None or unflat is None:
        return None
    if (to_map.op_type, unflat.op_type) != ("Transpose", "Reshape"):
        return None
    swaps = attribute(to_tokens, "perm") == [0, 2, 1] == attribute(to_map, "perm")
    single = all(graph.only_consumer(node.output[0]) is not None for node in (flat, to_tokens))
    same = len(graph.shape(flat.input[0])) == 4 and graph.shape(flat.input[0]) == graph.shape(unflat.output[0])
    return [flat, to_tokens, norm, to_map, unflat] if swaps and single and same else None
