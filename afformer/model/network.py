"""AFFormer: Head-Free Lightweight Semantic Segmentation with Linear Transformer (AAAI 2023, arXiv 2301.04648).

The network in the paper's terms, for any input size, trainable. A stage describes every pixel (pixel descriptor, PD)
and learns a coarse grid of prototypes (prototype learning, PL) side by side; the learnt prototypes are brought back to
the pixels by bilinear interpolation. Prototypes are learnt by an adaptive frequency filter, which is linear in their
number: a frequency similarity kernel, dynamic low-pass filters and dynamic high-pass filters.

Shapes: n pictures, C channels, H x W cells of the map at hand, N = H W tokens, h heads of c = C / h channels.
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

LOW_PASS_GRIDS = (1, 2, 3, 6)
"""Side of the grid that each quarter of the channels is averaged to."""
HIGH_PASS_FILTERS = ((3, 2), (5, 3), (7, 3))
"""(kernel size, heads filtered with it)."""
LAYER_NORM_EPS = 1e-6


@dataclasses.dataclass(frozen=True)
class AFFormerConfig:
    """What distinguishes one AFFormer from another. Use `tiny()`, `small()` or `base()`."""

    name: str
    channels: tuple[int, int, int, int]
    """Channels of each stage; the last stage also outputs that many."""
    depths: tuple[int, int, int, int]
    """Prototype blocks per stage. Stage 0 has no prototypes; its entry only counts for drop path."""
    heads: int = 8
    mlp_ratio: int = 2
    head_channels: int = 256
    drop_path: float = 0.0
    """Probability that the last block's residual branch is dropped in training; earlier blocks' rise to it linearly."""
    dropout: float = 0.1
    """Probability that a channel is dropped before the classifier in training."""

    @classmethod
    def tiny(cls, drop_path: float = 0.0) -> AFFormerConfig:
        """2.13 M parameters."""
        return cls("tiny", (32, 64, 160, 216), (1, 2, 4, 2), drop_path=drop_path)

    @classmethod
    def small(cls, drop_path: float = 0.0) -> AFFormerConfig:
        """2.32 M parameters."""
        return cls("small", (32, 64, 176, 216), (1, 2, 4, 2), drop_path=drop_path)

    @classmethod
    def base(cls, drop_path: float = 0.0) -> AFFormerConfig:
        """2.94 M parameters."""
        return cls("base", (32, 96, 176, 216), (1, 2, 6, 2), drop_path=drop_path)


VARIANTS = {config.name: config for config in (AFFormerConfig.tiny(), AFFormerConfig.small(), AFFormerConfig.base())}


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm and, unless told otherwise, HardSwish."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, act: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.act = nn.Hardswish() if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.norm(self.conv(x)))
        return out


class PatchEmbed(nn.Module):
    """Separable 3x3 convolution, batch norm, HardSwish: initialises each prototype from its neighbourhood."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.hardswish(self.norm(self.pointwise(self.depthwise(x))))


class PixelDescriptor(nn.Module):
    """PD: the local detail of the pixels, modelled in half the channels and added back."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 2
        self.reduce = ConvNorm(channels, hidden)
        self.local = nn.Conv2d(hidden, hidden, 3, 1, 1, groups=hidden, bias=False)
        self.local_norm = nn.BatchNorm2d(hidden)
        self.expand = ConvNorm(hidden, channels, act=False)

    def forward(self, x: Tensor) -> Tensor:
        local = F.hardswish(self.local_norm(self.local(self.reduce(x))))
        out: Tensor = x + self.expand(local)
        return out


class PositionEncoding(nn.Module):
    """Depthwise 3x3 convolution added to the map; one for all blocks of a stage."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 1, 1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv(x)
        return out


def low_pass(v: Tensor) -> Tensor:
    """Dynamic low-pass filters (DLF): average pooling to coarse grids, one grid per quarter of the channels.

    `(n, C, H, W)` -> `(n, C, H, W)`.
    """
    groups = v.split(v.shape[1] // len(LOW_PASS_GRIDS), dim=1)  # 4 x (n, C/4, H, W)
    pooled = [F.adaptive_avg_pool2d(group, grid) for group, grid in zip(groups, LOW_PASS_GRIDS, strict=True)]
    full = [F.interpolate(p, v.shape[2:], mode="bilinear", align_corners=False) for p in pooled]
    return F.relu(torch.cat(full, dim=1))


class HighPassFilters(nn.Module):
    """Dynamic high-pass filters (DHF): depthwise convolutions, larger kernels for later heads; one set per stage."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.splits = [count * channels // heads for _, count in HIGH_PASS_FILTERS]
        self.filters = nn.ModuleList(
            nn.Conv2d(split, split, kernel, 1, kernel // 2, groups=split)
            for split, (kernel, _) in zip(self.splits, HIGH_PASS_FILTERS, strict=True)
        )

    def forward(self, v: Tensor) -> Tensor:
        groups = v.split(self.splits, dim=1)
        return torch.cat([conv(group) for conv, group in zip(self.filters, groups, strict=True)], dim=1)


class AdaptiveFrequencyFilter(nn.Module):
    """AFF: frequency similarity kernel plus query-gated high-pass plus low-pass, then a projection."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor, size: tuple[int, int], high_pass: HighPassFilters) -> Tensor:
        n, N, C = x.shape  # noqa: N806 - letters as bound in the module's docstring
        h, c = self.heads, C // self.heads
        qkv = self.qkv(x).reshape(n, N, 3, h, c).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)  # each (n, h, N, c)
        # Frequency similarity kernel (FSK): the c x c matrix between frequency components, queried by every token.
        similarity = k.softmax(dim=2).transpose(2, 3) @ v  # (n, h, c, c)
        queried = q @ similarity * c**-0.5  # (n, h, N, c)
        v_map = v.transpose(2, 3).reshape(n, C, *size)  # (n, C, H, W)
        high = high_pass(v_map).reshape(n, h, c, N).transpose(2, 3)  # (n, h, N, c)
        low = low_pass(v_map).reshape(n, h, c, N).transpose(2, 3)  # (n, h, N, c)
        mixed = queried + q * high + low
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(n, N, C))
        return out


class FeedForward(nn.Module):
    """FFN with a depthwise 3x3 convolution between its two linear layers."""

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        hidden = channels * ratio
        self.fc1 = nn.Linear(channels, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, 1, 1, groups=hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        x = self.fc1(x)
        local = self.depthwise(to_map(x, size))  # (n, hidden, H, W)
        out: Tensor = self.fc2(F.gelu(x + to_tokens(local)))
        return out


class DropPath(nn.Module):
    """Stochastic depth: drops a residual branch for whole pictures in training (arXiv 1603.09382)."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training or self.probability == 0.0:
            return branch
        keep = 1.0 - self.probability
        mask = branch.new_empty(branch.shape[0], *[1] * (branch.dim() - 1)).bernoulli_(keep)
        return branch * mask / keep


class PrototypeBlock(nn.Module):
    """One layer of prototype learning: position encoding, adaptive frequency filter, feed-forward."""

    def __init__(self, channels: int, heads: int, mlp_ratio: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=LAYER_NORM_EPS)
        self.filter = AdaptiveFrequencyFilter(channels, heads)
        self.norm2 = nn.LayerNorm(channels, eps=LAYER_NORM_EPS)
        self.mlp = FeedForward(channels, mlp_ratio)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, position: PositionEncoding, high_pass: HighPassFilters) -> Tensor:
        size = (x.shape[2], x.shape[3])
        tokens = to_tokens(position(x))  # (n, N, C)
        tokens = tokens + self.drop_path(self.filter(self.norm1(tokens), size, high_pass))
        tokens = tokens + self.drop_path(self.mlp(self.norm2(tokens), size))
        return to_map(tokens, size)  # (n, C, H, W)


class PrototypeLearning(nn.Module):
    """PL: a stage's blocks. They share one position encoding and one set of high-pass filters."""

    def __init__(self, channels: int, heads: int, mlp_ratio: int, drop_paths: list[float]) -> None:
        super().__init__()
        self.position = PositionEncoding(channels)
        self.high_pass = HighPassFilters(channels, heads)
        self.blocks = nn.ModuleList(PrototypeBlock(channels, heads, mlp_ratio, p) for p in drop_paths)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, self.position, self.high_pass)
        return x


class Stage(nn.Module):
    """One stage: pixels and prototypes side by side, joined by a projection.

    Stage 0 has no prototype blocks; its two embeddings are added before the pixel descriptor.
    """

    def __init__(self, config: AFFormerConfig, index: int, drop_paths: list[float]) -> None:
        super().__init__()
        channels = config.channels[index]
        out_channels = config.channels[min(index + 1, 3)]
        self.pixel_embed = PatchEmbed(channels, stride=2 if index == 1 else 1)
        self.prototype_embed = PatchEmbed(channels, stride=(1, 1, 2, 4)[index])
        self.descriptor = PixelDescriptor(channels)
        self.prototypes: PrototypeLearning | None = None
        if index > 0:
            self.prototypes = PrototypeLearning(channels, config.heads, config.mlp_ratio, drop_paths)
        self.aggregate = ConvNorm(channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        pixels = self.pixel_embed(x)  # (n, C, H, W)
        grid = self.prototype_embed(pixels)  # (n, C, H/s, W/s)
        if self.prototypes is None:
            joined = self.descriptor(pixels + grid)
        else:
            learnt = self.prototypes(grid)
            if learnt.shape != pixels.shape:
                learnt = F.interpolate(learnt, pixels.shape[2:], mode="bilinear", align_corners=True)
            joined = self.descriptor(pixels) + learnt
        out: Tensor = self.aggregate(joined)
        return out


class Head(nn.Module):
    """The one-layer head (CLS), behind a 1x1 convolution that widens stage 4's map."""

    def __init__(self, in_channels: int, channels: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.norm = nn.GroupNorm(32, channels)
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(channels, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.classify(self.dropout(F.relu(self.norm(self.squeeze(x)))))
        return out


class AFFormer(nn.Module):
    """AFFormer with its head.

    Args:
        config: The variant.
        num_classes: Channels of the logits.
    """

    def __init__(self, config: AFFormerConfig, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        first = config.channels[0]
        self.stem = nn.Sequential(ConvNorm(3, first // 2, 3, 2), ConvNorm(first // 2, first, 3, 2))
        blocks = sum(config.depths)
        rates = iter([config.drop_path * i / (blocks - 1) for i in range(blocks)])
        self.stages = nn.ModuleList(
            Stage(config, index, [next(rates) for _ in range(depth)]) for index, depth in enumerate(config.depths)
        )
        self.head = Head(config.channels[-1], config.head_channels, num_classes, config.dropout)
        if not self.head.classify.weight.is_meta:  # else there is nothing to fill, and PyTorch would load its compiler
            self.apply(init_weights)
            nn.init.normal_(self.head.classify.weight, std=0.01)

    def features(self, image: Tensor) -> list[Tensor]:
        """The four stages' maps for an image of `(n, 3, H, W)`: strides 4, 8, 8, 8."""
        x = self.stem(image)  # (n, C, H/4, W/4)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, image: Tensor) -> Tensor:
        """`(n, 3, H, W)` normalised RGB -> logits `(n, classes, ceil(H/8), ceil(W/8))`."""
        out: Tensor = self.head(self.features(image)[-1])
        return out


def init_weights(module: nn.Module) -> None:
    """He initialisation by fan-out for convolutions (arXiv 1502.01852), truncated normal for linear layers."""
    if isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=(2.0 / fan_out) ** 0.5)
    elif isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
        nn.init.zeros_(module.bias)


def to_tokens(x: Tensor) -> Tensor:
    """`(n, C, H, W)` -> `(n, N, C)`."""
    return x.flatten(2).transpose(1, 2)


def to_map(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """`(n, N, C)` -> `(n, C, H, W)`."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], *size)
