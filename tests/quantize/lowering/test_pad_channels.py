from __future__ import annotations

import numpy as np
import onnx
import pytest

from afformer.quantize.lowering.graph import Graph
from afformer.quantize.lowering.pad_channels import pad_channels
from tests.builders.graphs import parse, run


def sandwich(channels: int, extra_reader: bool = False) -> onnx.ModelProto:
    end = "p = Conv <kernel_shape = [1, 1]> (e, after)\ny = Add (p, a)" if extra_reader else ""
    last = end or "y = Conv <kernel_shape = [1, 1]> (e, after)"
    return parse(
        f"""
        sandwich (float[1, 3, 6, 6] x) => (float[1, {channels}, 6, 6] y) {{
            a = Conv <kernel_shape = [1, 1]> (x, before, bias)
            b = HardSwish (a)
            d = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], group = {channels}> (b, depthwise)
            e = Gelu (d)
            {last}
        }}""",
        before=(channels, 3, 1, 1),
        bias=(channels,),
        depthwise=(channels, 1, 3, 3),
        after=(channels, channels, 1, 1),
    )


def test_channels_are_filled_up_to_sixteen_and_the_result_is_the_same() -> None:
    model = sandwich(20)
    padded = pad_channels(model)
    onnx.checker.check_model(padded, full_check=True)
    assert Graph(padded).shape("d") == (1, 32, 6, 6)
    np.testing.assert_allclose(run(padded), run(model), atol=1e-5)


@pytest.mark.parametrize("model", [sandwich(16), sandwich(20, extra_reader=True)], ids=["even", "read by another"])
def test_what_need_not_or_must_not_be_padded_stays(model: onnx.ModelProto) -> None:
    assert pad_channels(model) is model


def test_padding_twice_changes_nothing_more() -> None:
    once = pad_channels(sandwich(20))
    assert pad_channels(once) is once
