from __future__ import annotations

import numpy as np

from afformer.quantize.lowering.unshare import unshare_biases
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
    unshared = unshare_biases(MODEL)
    assert len({node.input[2] for node in unshared.graph.node}) == 3
    assert {node.input[1] for node in unshared.graph.node} == {"w"}
    np.testing.assert_array_equal(run(unshared), run(MODEL))


def test_unsharing_twice_changes_nothing_more() -> None:
    once = unshare_biases(MODEL)
    assert unshare_biases(once) is once
