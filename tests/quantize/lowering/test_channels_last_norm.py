from __future__ import annotations

import numpy as np
import onnx

from afformer.quantize.lowering.channels_last_norm import move_norms_to_channels_last
from tests.builders.graphs import operators, parse, run


def tokens_norm(tail: str = "y = Relu (map)") -> onnx.ModelProto:
    return parse(
        f"""
        norm (float[2, 6, 4, 5] x) => (float[2, 6, 4, 5] y)
        <int64[3] flat_shape = {{2, 6, 20}}, int64[4] map_shape = {{2, 6, 4, 5}}> {{
            flat = Reshape (x, flat_shape)
            tokens = Transpose <perm = [0, 2, 1]> (flat)
            normed = LayerNormalization <axis = -1, epsilon = 1e-6> (tokens, g, b)
            back = Transpose <perm = [0, 2, 1]> (normed)
            map = Reshape (back, map_shape)
            {tail}
        }}""",
        g=(6,),
        b=(6,),
    )


def test_the_norm_runs_on_four_axes_and_gives_the_same() -> None:
    model = tokens_norm()
    moved = move_norms_to_channels_last(model)
    assert operators(moved) == ["Transpose", "LayerNormalization", "Transpose", "Relu"]
    np.testing.assert_allclose(run(moved), run(model), atol=1e-6)


def test_the_tensors_that_calibration_observed_keep_their_names() -> None:
    names = {name for node in move_norms_to_channels_last(tokens_norm()).graph.node for name in node.output}
    assert {"normed", "map"} <= names


def test_moving_twice_changes_nothing_more() -> None:
    once = move_norms_to_channels_last(tokens_norm())
    assert move_norms_to_channels_last(once) is once


def test_a_norm_whose_tokens_have_another_reader_stays() -> None:
    model = tokens_norm("again = Reshape (back, map_shape)\n y = Add (map, again)")
    assert move_norms_to_channels_last(model) is model
