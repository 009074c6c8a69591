from __future__ import annotations

import numpy as np
import onnx

from afformer.quantize.lowering.float16_constants import store_matrices_as_float16
from tests.builders.graphs import operators, parse, run


def product(constant: np.ndarray) -> onnx.ModelProto:
    rows, columns = constant.shape
    return parse(f"p (float[3, {rows}] x) => (float[3, {columns}] y) {{ y = MatMul (x, m) }}", m=constant)


def test_a_large_matrix_takes_half_the_bytes_and_keeps_eleven_bits() -> None:
    model = product(np.random.default_rng(0).uniform(0, 1, (40, 50)).astype(np.float32))
    stored = store_matrices_as_float16(model)
    assert operators(stored) == ["Cast", "MatMul"]
    assert stored.ByteSize() < 0.6 * model.ByteSize()
    np.testing.assert_allclose(run(stored), run(model), atol=2**-11 * 40)


def test_small_matrices_and_those_that_float16_could_not_hold_stay() -> None:
    for model in (
        product(np.ones((4, 5), np.float32)),
        product(np.full((40, 50), 1e6, np.float32)),
        product(np.full((40, 50), 1e-6, np.float32)),
    ):
        assert store_matrices_as_float16(model) is model


def test_a_matrix_with_several_readers_is_stored_once() -> None:
    model = parse(
        "p (float[3, 40] x) => (float[3, 40] y) { a = MatMul (x, m)\n y = MatMul (a, m) }",
        m=np.random.default_rng(0).uniform(0, 0.1, (40, 40)).astype(np.float32),
    )
    stored = store_matrices_as_float16(model)
    assert operators(stored) == ["Cast", "MatMul", "MatMul"]
    onnx.checker.check_model(stored, full_check=True)
    np.testing.assert_allclose(run(stored), run(model), atol=2e-4)
