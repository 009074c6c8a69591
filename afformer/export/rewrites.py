"""The exact rewrites that make the network static and fast, each with its algebra.

All arithmetic is in float64 and rounded once at the end, so that a rewrite costs no accuracy.
"""

from __future__ import annotations

import copy
import dataclasses

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from afformer.model.network import LOW_PASS_GRIDS, HighPassFilters


def fold_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Convolution and evaluation-mode batch norm -> one convolution.

        g (W x + b - m) / sqrt(s + eps) + t  =  (a W) x + (a (b - m) + t),   a = g / sqrt(s + eps)

    with the norm's weight g, bias t, running mean m and running variance s, all per output channel.
    """
    mean, variance = (buffer.double() for buffer in (norm.running_mean, norm.running_var) if buffer is not None)
    scale = norm.weight.double() / torch.sqrt(variance + norm.eps)
    bias = scale * (_bias(conv) - mean) + norm.bias.double()
    return _conv_like(conv, conv.weight.double() * scale[:, None, None, None], bias)


def divide_input(conv: nn.Conv2d, divisor: tuple[float, ...]) -> nn.Conv2d:
    """`conv(x / d)` with d per input channel -> one convolution: `W (x / d) = (W / d) x`."""
    scale = torch.tensor(divisor, dtype=torch.float64)[None, :, None, None]
    return _conv_like(conv, conv.weight.double() / scale, _bias(conv))


def add_identity(conv: nn.Conv2d) -> nn.Conv2d:
    """`x + conv(x)` of a depthwise convolution -> one depthwise convolution.

    The identity is the depthwise kernel with 1 at its centre and 0 elsewhere, and convolution is linear in its kernel.
    """
    weight = conv.weight.double().clone()
    weight[:, 0, conv.kernel_size[0] // 2, conv.kernel_size[1] // 2] += 1.0
    return _conv_like(conv, weight, _bias(conv))


def linear_to_conv(linear: nn.Linear) -> nn.Conv2d:
    """A linear layer over C of `(n, N, C)` -> the 1x1 convolution over `(n, C, H, W)` with the same weights."""
    return _pointwise(linear.weight.double(), linear.bias.double())


def split_qkv(qkv: nn.Linear, scale: float) -> tuple[nn.Conv2d, nn.Conv2d, nn.Conv2d]:
    """One linear layer C -> 3C -> three 1x1 convolutions, the query's already multiplied by `scale`.

        s (q A) + q * hp + lp  =  (s q) A + (s q) * (hp / s) + lp

    so the scale of the frequency similarity kernel costs nothing when the high-pass filters are divided by it
    (`merge_high_pass`, `gain`). Three convolutions avoid a Split, which some engines run slowly.
    """
    weights, biases = qkv.weight.double().chunk(3), qkv.bias.double().chunk(3)
    scales = (scale, 1.0, 1.0)
    q, k, v = (_pointwise(w * s, b * s) for w, b, s in zip(weights, biases, scales, strict=True))
    return q, k, v


def merge_high_pass(filters: HighPassFilters, gain: float = 1.0) -> nn.Conv2d:
    """Depthwise filters of 3x3, 5x5 and 7x7 over groups of channels -> one 7x7 depthwise convolution, times `gain`.

    A k x k kernel with padding k // 2 equals the 7 x 7 kernel with padding 3 that holds it at its centre among zeros.
    """
    convs: list[nn.Conv2d] = list(filters.filters)  # type: ignore[arg-type]
    largest = max(conv.kernel_size[0] for conv in convs)
    weights = [F.pad(conv.weight.double(), [(largest - conv.kernel_size[0]) // 2] * 4) for conv in convs]
    bias = torch.cat([_bias(conv) for conv in convs])
    channels = len(bias)
    merged = nn.Conv2d(channels, channels, largest, 1, largest // 2, groups=channels)
    return _conv_like(merged, torch.cat(weights) * gain, bias * gain)


@dataclasses.dataclass(frozen=True)
class LowPassMatrices:
    """The constants of `low_pass_matrices`, float32; S = 1 + 2 + 3 + 6 = 12 and K = 1 + 4 + 9 + 36 = 50."""

    pool_x: Tensor
    """`(W, S)`"""
    pool_y: Tensor
    """`(H S, K)`"""
    mask: Tensor
    """`(C, K)`"""
    upsample_y: Tensor
    """`(K, H S)`"""
    upsample_x: Tensor
    """`(S, W)`"""


def low_pass_matrices(channels: int, size: tuple[int, int]) -> LowPassMatrices:
    """Adaptive average pooling followed by bilinear upsampling, as constants.

    Both are linear in the map, treat every channel alike, and work on rows and columns separately: for the grid of
    side k pooling is R_k V C_k with matrices R_k `(k, H)` and C_k `(W, k)`, and upsampling has the same form. The
    columns of all four grids stand side by side in one `(W, 12)` matrix. The rows may only be combined with columns of
    their own grid, so they form one matrix over the flattened (row, column) pairs, zero where the grids differ. With M
    selecting each channel's own grid out of the 50 cells,

        low_pass(V) = relu(unflatten((flatten(V pool_x) pool_y * M) upsample_y) upsample_x)

    which costs a quarter of the one-step form (`(N, 50)` and `(50, N)` matrices) and stores a tenth of its constants.
    """
    grids = torch.cat([torch.full((grid,), index) for index, grid in enumerate(LOW_PASS_GRIDS)])  # (S,) owner
    owners = torch.cat([torch.full((grid * grid,), index) for index, grid in enumerate(LOW_PASS_GRIDS)])  # (K,)
    pool_y, upsample_y = [], []
    for grid in LOW_PASS_GRIDS:
        rows, up = _pool_matrix(size[0], grid), _upsample_matrix(grid, size[0])  # (H, k), (k, H)
        # Column b of a strip and row y go to cell (a, b): this grid's part of S and of K, in order.
        pool_y.append(torch.einsum("ya,bc->ybac", rows, torch.eye(grid).double()).flatten(2))  # (H, k, k^2)
        upsample_y.append(torch.einsum("ay,bc->abyc", up, torch.eye(grid).double()).flatten(0, 1))  # (k^2, H, k)
    quarter = torch.arange(channels) // (channels // len(LOW_PASS_GRIDS))
    return LowPassMatrices(
        pool_x=torch.cat([_pool_matrix(size[1], grid) for grid in LOW_PASS_GRIDS], 1).float(),
        pool_y=_between_own(pool_y, grids, owners, 1, 2).flatten(0, 1).float(),
        mask=(quarter[:, None] == owners).float(),
        upsample_y=_between_own(upsample_y, owners, grids, 0, 2).flatten(1).float(),
        upsample_x=torch.cat([_upsample_matrix(grid, size[1]) for grid in LOW_PASS_GRIDS], 0).float(),
    )


def _between_own(blocks: list[Tensor], first: Tensor, second: Tensor, dim_a: int, dim_b: int) -> Tensor:
    """Blocks placed along two dimensions, zero where the owners differ."""
    shape = list(blocks[0].shape)
    shape[dim_a], shape[dim_b] = len(first), len(second)
    whole = torch.zeros(shape, dtype=torch.float64)
    for index, block in enumerate(blocks):
        place = [slice(None)] * 3
        place[dim_a], place[dim_b] = _span(first == index), _span(second == index)
        whole[tuple(place)] = block
    return whole


def _span(own: Tensor) -> slice:
    """The range of a run of true values."""
    places = own.nonzero().flatten()
    return slice(int(places[0]), int(places[-1]) + 1)


def _pool_matrix(length: int, cells: int) -> Tensor:
    """Adaptive average pooling of `length` positions to `cells`, `(length, cells)`: windows may overlap."""
    positions = torch.eye(length, dtype=torch.float64)[:, None]
    return F.adaptive_avg_pool1d(positions, cells)[:, 0]


def _upsample_matrix(cells: int, length: int) -> Tensor:
    """Linear interpolation of `cells` to `length` positions (align_corners False), `(cells, length)`."""
    corners = torch.eye(cells, dtype=torch.float64)[:, None]
    return F.interpolate(corners, length, mode="linear", align_corners=False)[:, 0]


def _pointwise(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
    return _conv_like(conv, weight[:, :, None, None], bias)


def _bias(conv: nn.Conv2d) -> Tensor:
    return torch.zeros(conv.out_channels, dtype=torch.float64) if conv.bias is None else conv.bias.double()


def _conv_like(conv: nn.Conv2d, weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """A convolution of `conv`'s geometry with other parameters, rounded to float32."""
    made = copy.deepcopy(conv)
    made.weight = nn.Parameter(weight.detach().float(), requires_grad=False)
    made.bias = nn.Parameter(bias.detach().float(), requires_grad=False)
    return made
