from __future__ import annotations

from typing import TypeVar

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from afformer.export import rewrites
from afformer.model import network as reference

Module = TypeVar("Module", bound=nn.Module)


def randomised(module: Module) -> Module:
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if name.endswith("running_var") else tensor.normal_()
    return module.eval()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("groups", [1, 8])
def test_folded_norm_equals_convolution_then_norm(bias: bool, groups: int) -> None:
    torch.manual_seed(0)
    conv = randomised(nn.Conv2d(8, 16, 3, 2, 1, groups=groups, bias=bias))
    norm = randomised(nn.BatchNorm2d(16))
    x = torch.randn(2, 8, 9, 11)
    torch.testing.assert_close(rewrites.fold_norm(conv, norm)(x), norm(conv(x)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_identity_in_the_kernel_equals_a_residual_convolution(kernel: int) -> None:
    torch.manual_seed(0)
    conv = randomised(nn.Conv2d(6, 6, kernel, 1, kernel // 2, groups=6))
    x = torch.randn(2, 6, 8, 5)
    torch.testing.assert_close(rewrites.add_identity(conv)(x), x + conv(x), rtol=1e-4, atol=1e-4)


def test_linear_layer_over_tokens_equals_a_pointwise_convolution_over_the_map() -> None:
    torch.manual_seed(0)
    linear = randomised(nn.Linear(6, 10))
    x = torch.randn(2, 6, 4, 5)
    expected = reference.to_map(linear(reference.to_tokens(x)), (4, 5))
    torch.testing.assert_close(rewrites.linear_to_conv(linear)(x), expected, rtol=1e-5, atol=1e-5)


def test_division_of_the_input_moves_into_the_kernel() -> None:
    torch.manual_seed(0)
    conv, std = randomised(nn.Conv2d(3, 4, 3, 2, 1)), (58.0, 57.0, 60.0)
    x = 100 * torch.randn(1, 3, 8, 8)
    expected = conv(x / torch.tensor(std).reshape(1, 3, 1, 1))
    torch.testing.assert_close(rewrites.divide_input(conv, std)(x), expected, rtol=1e-4, atol=1e-4)


def test_scaled_query_and_high_pass_give_the_scaled_similarity_for_nothing() -> None:
    torch.manual_seed(0)
    channels, scale = 16, 0.5
    qkv = randomised(nn.Linear(channels, 3 * channels))
    filters = randomised(reference.HighPassFilters(channels, 8))
    x = torch.randn(1, channels, 6, 7)
    q, k, v = (reference.to_map(part, (6, 7)) for part in qkv(reference.to_tokens(x)).chunk(3, dim=-1))
    query, key, value = rewrites.split_qkv(qkv, scale)
    torch.testing.assert_close(query(x), scale * q, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(key(x), k, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(value(x), v, rtol=1e-4, atol=1e-4)
    high = rewrites.merge_high_pass(filters, gain=1 / scale)
    torch.testing.assert_close(query(x) * high(value(x)), q * filters(v), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("channels", [16, 64, 216])
def test_one_large_filter_equals_the_filters_of_three_sizes(channels: int) -> None:
    torch.manual_seed(0)
    filters = randomised(reference.HighPassFilters(channels, 8))
    v = torch.randn(1, channels, 9, 10)
    merged = rewrites.merge_high_pass(filters)
    torch.testing.assert_close(merged(v), filters(v), rtol=1e-4, atol=1e-4)


@settings(max_examples=25)
@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_low_pass_matrices_equal_adaptive_pooling_and_upsampling_at_any_size(height: int, width: int) -> None:
    torch.manual_seed(0)
    v = torch.randn(2, 8, height, width)
    m = rewrites.low_pass_matrices(8, (height, width))
    strips = (v @ m.pool_x).reshape(2, 8, -1)
    low = F.relu(((strips @ m.pool_y * m.mask) @ m.upsample_y).reshape(2, 8, height, -1) @ m.upsample_x)
    torch.testing.assert_close(low, reference.low_pass(v), rtol=1e-5, atol=1e-5)


def test_windows_that_do_not_divide_the_map_overlap_as_adaptive_pooling_defines() -> None:
    pooled = rewrites.low_pass_matrices(4, (16, 16)).pool_x[:, 3:6]  # the grid of side 3
    windows = [pooled[:, i].nonzero().flatten().tolist() for i in range(3)]
    assert windows == [list(range(6)), list(range(5, 11)), list(range(10, 16))]
