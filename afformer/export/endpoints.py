"""The static network as it is exported: with byte input and class map output where the spec asks for them."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from afformer.export.static import StaticAFFormer
from afformer.model.network import AFFormer
from afformer.spec import InputKind, ModelSpec, OutputKind


class ByteInput(nn.Module):
    """`(n, H, W, 3)` uint8 -> `(n, 3, H, W)` float32, mean subtracted; the channels keep their order.

    The division by std goes into the first convolution: `W ((x - m) / s) = (W / s) (x - m)`. The mean stays outside,
    because the convolution pads with zeros, and a zero must mean the mean.
    """

    mean: Tensor

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(spec.mean).reshape(1, 3, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return image.permute(0, 3, 1, 2).float() - self.mean


class ClassMapOutput(nn.Module):
    """Logits -> class ids at the input size: one bilinear step, then argmax."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.size = spec.input_hw
        self.dtype = torch.uint8 if spec.num_classes <= 256 else torch.int32

    def forward(self, logits: Tensor) -> Tensor:
        full = F.interpolate(logits, self.size, mode="bilinear", align_corners=False)
        return full.argmax(dim=1).to(self.dtype)


class ExportedNetwork(nn.Module):
    """The static network, from the spec's input kind to its output kind."""

    def __init__(self, network: AFFormer, spec: ModelSpec) -> None:
        super().__init__()
        self.network = StaticAFFormer(network, spec.input_hw)
        self.bytes = ByteInput(spec) if spec.input is InputKind.UINT8 else nn.Identity()
        self.classmap = ClassMapOutput(spec) if spec.output is OutputKind.CLASSMAP else nn.Identity()
        if spec.input is InputKind.UINT8:
            self.network.divide_input(spec.std)
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.classmap(self.network(self.bytes(image)))
        return out


def example_input(spec: ModelSpec) -> Tensor:
    """A tensor of the shape and type of the model's input."""
    height, width = spec.input_hw
    if spec.input is InputKind.UINT8:
        return torch.zeros(spec.batch, height, width, 3, dtype=torch.uint8)
    return torch.zeros(spec.batch, 3, height, width)
