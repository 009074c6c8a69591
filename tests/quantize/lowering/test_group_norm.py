from __future__ import annotations

import numpy as np
import onnx

from afformer.quantize.lowering.group_norm import fold_group_norm
from tests.builders.graphs import operators, parse, run


def head(weight: list[float], scale: float = 3.0) -> onnx.ModelProto:
    random = np.random.default_rng(1)
    return parse(
        """
        head (float[2, 8, 4, 5] x) => (float[2, 3, 4, 5] logits)
        <int64[3] groups = {2, 4, -1}, int64[4] map = {2, 8, 4, 5}> {
            amplified = Mul (x, factor)
            grouped = Reshape (amplified, groups)
            normed = InstanceNormalization <epsilon = 1e-5> (grouped, ones, zeros)
            whole = Reshape (normed, map)
            scaled = Mul (whole, weight)
            shifted = Add (scaled, bias)
            active = Relu (shifted)
            logits = Conv <kernel_shape = [1, 1]> (active, v, c)
        }""",
        factor=np.array([scale], np.float32),
        ones=np.ones(4, np.float32),
        zeros=np.zeros(4, np.float32),
        weight=np.array(weight, np.float32).reshape(8, 1, 1),
        bias=random.normal(size=(8, 1, 1)).astype(np.float32),
        v=(3, 8, 1, 1),
        c=(3,),
    )


def test_the_folded_head_gives_the_same_logits_for_every_picture_of_a_batch() -> None:
    model = head([1.0, 0.5, 2.0, 1.5, 0.1, 1.0, 1.0, 3.0])
    folded = fold_group_norm(model)
    assert not {"InstanceNormalization", "Relu", "Conv"} & set(operators(folded))
    onnx.checker.check_model(folded, full_check=True)
    np.testing.assert_allclose(run(folded), run(model), atol=2e-5)


def test_values_far_from_one_do_not_spoil_the_variance() -> None:
    model = head([1.0] * 8, scale=1e3)
    np.testing.assert_allclose(run(fold_group_norm(model)), run(model), atol=2e-5)


def test_a_norm_with_a_weight_that_is_not_clearly_positive_stays_because_the_threshold_would_turn_around() -> None:
    for weight in (-1.0, 0.0, 1e-39):
        model = head([1.0] * 7 + [weight])
        assert fold_group_norm(model) is model


def test_folding_twice_changes_nothing_more() -> None:
    once = fold_group_norm(head([1.0] * 8))
    assert fold_group_norm(once) is once
