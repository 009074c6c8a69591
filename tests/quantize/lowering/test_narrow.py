from __future__ import annotations

import numpy as np
import onnx

from afformer.quantize.lowering.narrow import narrow_matrices
from tests.builders.graphs import operators, parse, run


def product(constant: np.ndarray) -> onnx.ModelProto:
    rows, columns = constant.shape
    return parse(f"p (float[3, {rows}] x) => (float[3, {columns}] y) {{ y = MatMul (x, m) }}", m=constant)


def test_a_large_matrix_takes_half_the_bytes_and_keeps_eleven_bits() -> None:
    model = product(np.random.default_rng(0).uniform(0, 1, (40, 50)).astype(np.float32))
    narrow = narrow_matrices(model)
    assert operators(narrow) == ["Cast", "MatMul"]
    assert narrow.ByteSize() < 0.6 * model.ByteSize()
    np.testing.assert_allclose(run(narrow), run(model), atol=2**-11 * 40)


def test_small_matrices_and_those_that_float16_could_not_hold_stay() -> None:
    for model in (product(np.ones((4, 5), np.float32)), product(np.full((40, 50), 1e6, np.float32))):
        assert narrow_matrices(model) is model
