"""Trained network -> the same function for one input size, in operators that inference engines run fast.

The network is rebuilt channel-first: a map is `(n, C, H, W)`, its tokens are `(n, C, N)` with N = H W last, so that a
linear layer is a 1x1 convolution, splitting C into h heads of c channels is a free reshape, and the softmax over tokens
runs over the last axis. No shape is computed in the graph: the module is made for one input size and one batch size.
`export/rewrites.py` gives the algebra of each rewrite.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from afformer.export import rewrites
from afformer.model import network as reference

Size = tuple[int, int]


class StaticDescriptor(nn.Module):
    """`PixelDescriptor` with folded norms."""

    def __init__(self, source: reference.PixelDescriptor) -> None:
        super().__init__()
        self.local = nn.Sequential(
            rewrites.fold_norm(source.reduce.conv, source.reduce.norm),
            nn.Hardswish(),
            rewrites.fold_norm(source.local, source.local_norm),
            nn.Hardswish(),
            rewrites.fold_norm(source.expand.conv, source.expand.norm),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.local(x)
        return out


class StaticLowPass(nn.Module):
    """`low_pass` as constant matrices with a mask between them."""

    pool_x: Tensor
    pool_y: Tensor
    mask: Tensor
    upsample_y: Tensor
    upsample_x: Tensor

    def __init__(self, channels: int, size: Size) -> None:
        super().__init__()
        matrices = rewrites.low_pass_matrices(channels, size)
        for name, matrix in vars(matrices).items():
            self.register_buffer(name, matrix)

    def forward(self, v: Tensor) -> Tensor:
        """`(n, C, H, W)` -> `(n, C, H, W)`."""
        n, channels, height, _ = v.shape
        strips = (v @ self.pool_x).reshape(n, channels, -1)  # (n, C, H S)
        cells = strips @ self.pool_y * self.mask  # (n, C, K)
        strips = cells @ self.upsample_y  # (n, C, H S)
        return F.relu(strips.reshape(n, channels, height, -1) @ self.upsample_x)


class StaticFilter(nn.Module):
    """`AdaptiveFrequencyFilter`, channel-first."""

    def __init__(
        self,
        source: reference.AdaptiveFrequencyFilter,
        norm: nn.LayerNorm,
        high: nn.Conv2d,
        low: StaticLowPass,
        size: Size,
    ) -> None:
        super().__init__()
        self.heads, self.size = source.heads, size
        self.norm = norm
        scale = (source.proj.in_features // source.heads) ** -0.5
        self.query, self.key, self.value = rewrites.split_qkv(source.qkv, scale)
        self.high, self.low = high, low
        self.proj = rewrites.linear_to_conv(source.proj)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, C, H, W)` -> `(n, C, H, W)`."""
        n, channels = x.shape[:2]
        split = (n, self.heads, channels // self.heads, self.size[0] * self.size[1])
        x = channel_layer_norm(x, self.norm)
        q, k, v = self.query(x), self.key(x), self.value(x)  # (n, C, H, W), q scaled by c^-1/2
        # (K^T V)^T directly, so that the second product needs no transpose either
        similarity = v.reshape(split) @ k.reshape(split).softmax(dim=-1).transpose(2, 3)  # (n, h, c, c)
        queried = similarity @ q.reshape(split)  # (n, h, c, N)
        mixed = queried.reshape(x.shape) + q * self.high(v) + self.low(v)  # the high-pass is scaled by c^1/2
        out: Tensor = self.proj(mixed)
        return out


class StaticFeedForward(nn.Module):
    """`FeedForward`, channel-first; its residual depthwise convolution is one convolution."""

    def __init__(self, source: reference.FeedForward, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.norm = norm
        self.layers = nn.Sequential(
            rewrites.linear_to_conv(source.fc1),
            rewrites.add_identity(source.depthwise),
            nn.GELU(),
            rewrites.linear_to_conv(source.fc2),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(channel_layer_norm(x, self.norm))
        return out


class StaticPrototypes(nn.Module):
    """`PrototypeLearning`: all blocks share the position encoding, the high-pass filters and the low-pass matrices."""

    def __init__(self, source: reference.PrototypeLearning, size: Size) -> None:
        super().__init__()
        blocks = cast(Iterable[reference.PrototypeBlock], source.blocks)
        heads = next(iter(blocks)).filter.heads
        channels = source.position.conv.in_channels
        self.position = rewrites.add_identity(source.position.conv)
        high = rewrites.merge_high_pass(source.high_pass, gain=(channels // heads) ** 0.5)
        low = StaticLowPass(channels, size)
        self.filters = nn.ModuleList(StaticFilter(b.filter, b.norm1, high, low, size) for b in blocks)
        self.mlps = nn.ModuleList(StaticFeedForward(b.mlp, b.norm2) for b in blocks)

    def forward(self, x: Tensor) -> Tensor:
        for mix, mlp in zip(self.filters, self.mlps, strict=True):
            x = self.position(x)
            x = x + mix(x)
            x = x + mlp(x)
        return x


class StaticStage(nn.Module):
    """`Stage` for one map size."""

    def __init__(self, source: reference.Stage, size: Size) -> None:
        super().__init__()
        self.pixel_embed = static_embed(source.pixel_embed)
        self.prototype_embed = static_embed(source.prototype_embed)
        self.descriptor = StaticDescriptor(source.descriptor)
        self.pixel_size = after_stride(size, source.pixel_embed.depthwise.stride[0])
        self.grid_size = after_stride(self.pixel_size, source.prototype_embed.depthwise.stride[0])
        self.prototypes = source.prototypes and StaticPrototypes(source.prototypes, self.grid_size)
        self.aggregate = static_conv(source.aggregate)

    def forward(self, x: Tensor) -> Tensor:
        pixels = self.pixel_embed(x)
        grid = self.prototype_embed(pixels)
        if self.prototypes is None:
            joined = self.descriptor(pixels + grid)
        else:
            learnt = self.prototypes(grid)
            if self.grid_size != self.pixel_size:
                learnt = F.interpolate(learnt, self.pixel_size, mode="bilinear", align_corners=True)
            joined = self.descriptor(pixels) + learnt
        out: Tensor = self.aggregate(joined)
        return out


class StaticHead(nn.Module):
    """`Head` in evaluation mode."""

    def __init__(self, source: reference.Head) -> None:
        super().__init__()
        self.squeeze, self.norm, self.classify = source.squeeze, source.norm, source.classify

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.classify(F.relu(self.norm(self.squeeze(x))))
        return out


class StaticAFFormer(nn.Module):
    """AFFormer for inputs of exactly `(n, 3, H, W)`.

    Args:
        source: The trained network, in evaluation mode.
        input_hw: H and W in pixels.
    """

    def __init__(self, source: reference.AFFormer, input_hw: Size) -> None:
        super().__init__()
        stem = cast(Iterable[reference.ConvNorm], source.stem)
        self.stem = nn.Sequential(*(static_conv(layer) for layer in stem))
        size = after_stride(after_stride(input_hw, 2), 2)
        stages = []
        for stage in cast(Iterable[reference.Stage], source.stages):
            stages.append(StaticStage(stage, size))
            size = stages[-1].pixel_size
        self.stages = nn.Sequential(*stages)
        self.head = StaticHead(source.head)
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        """`(n, 3, H, W)` normalised RGB -> logits `(n, classes, ceil(H/8), ceil(W/8))`."""
        out: Tensor = self.head(self.stages(self.stem(image)))
        return out

    def divide_input(self, std: tuple[float, ...]) -> None:
        """Moves the division of the input by `std` (per channel) into the first convolution."""
        first = cast(nn.Sequential, self.stem[0])
        first[0] = rewrites.divide_input(cast(nn.Conv2d, first[0]), std)


def static_conv(source: reference.ConvNorm) -> nn.Sequential:
    """`ConvNorm` with its norm folded."""
    return nn.Sequential(rewrites.fold_norm(source.conv, source.norm), source.act)


def static_embed(source: reference.PatchEmbed) -> nn.Module:
    """`PatchEmbed` with its norm folded."""
    return nn.Sequential(source.depthwise, rewrites.fold_norm(source.pointwise, source.norm), nn.Hardswish())


def channel_layer_norm(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """LayerNorm over C of `(n, C, H, W)`."""
    tokens: Tensor = norm(x.flatten(2).transpose(1, 2))  # (n, N, C)
    return tokens.transpose(1, 2).reshape(x.shape)


def after_stride(size: Size, stride: int) -> Size:
    """Size of the map after a 3x3 convolution with padding 1: `(s + 2 - 3) // stride + 1`."""
    return (size[0] - 1) // stride + 1, (size[1] - 1) // stride + 1
