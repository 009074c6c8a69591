from __future__ import annotations

import numpy as np

from afformer.quantize.lowering.own_biases import duplicate_shared_biases
from tests.builders.graphs import parse, run

MODEL = parse(
    """
    shared (float[1, 4, 5, 5] x) => (float[1, 4, 5, 5] y) {
        a = Conv <kernel_shape = [1, 1]> (x, w, b)
        c = Conv <kernel_shape = [1, 1]> (a, w, b)
        y = Conv <kernel_shape = [1, 1]> (c, w, b)
    }""",
    w=(4, 4, 1, 1),
    b=(4,),
)


def test_every_convolution_gets_a_bias_of_its_own_and_the_weight_stays_shared() -> None:
    separate = duplicate_shared_biases(MODEL)
    assert len({node.input[2] for node in separate.graph.node}) == 3
    assert {node.input[1] for node in separate.graph.node} == {"w"}
    np.testing.assert_array_equal(run(separate), run(MODEL))


def test_duplicating_twice_changes_nothing_more() -> None:
    once = duplicate_shared_biases(MODEL)
    assert duplicate_shared_biases(once) is once
