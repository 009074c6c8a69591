from __future__ import annotations

import numpy as np
import onnx
import pytest

from afformer.quantize.channels import channel_ranges
from tests.builders.graphs import parse


def model(height: int) -> onnx.ModelProto:
    return parse(
        f"""
        doubled (float[1, 3, {height}, 100] x) => (float[1, 3, {height}, 100] y) {{
            y = Add (x, x)
        }}"""
    )


def pictures(height: int) -> list[np.ndarray]:
    spread = np.array([1, 10, 100]).reshape(3, 1, 1)
    return [(np.random.default_rng(i).normal(size=(1, 3, height, 100)) * spread).astype(np.float32) for i in range(3)]


def test_each_channel_has_its_own_range_over_all_pictures() -> None:
    found = channel_ranges(model(4), ["x", "y"], pictures(4))
    values = np.stack(pictures(4)).astype(np.float64)
    np.testing.assert_allclose(found["x"].low, values.min(axis=(0, 1, 3, 4)))
    np.testing.assert_allclose(found["y"].high, 2 * values.max(axis=(0, 1, 3, 4)))


def test_the_outermost_values_are_left_out() -> None:
    found = channel_ranges(model(400), ["x"], pictures(400))["x"]
    ordered = np.sort(np.stack(pictures(400))[:, 0, 2].reshape(-1))  # 120,000 values: 6 are left out at either end
    assert (found.low[2], found.high[2]) == (ordered[6], ordered[-7])


def test_the_order_of_the_pictures_does_not_matter() -> None:
    one, other = (channel_ranges(model(40), ["x"], order)["x"] for order in (pictures(40), pictures(40)[::-1]))
    np.testing.assert_array_equal(one.low, other.low)
    np.testing.assert_array_equal(one.high, other.high)


def test_no_feeds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one feed"):
        channel_ranges(model(4), ["x"], [])
