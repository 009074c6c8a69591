"""Compares an exported model with PyTorch on real pictures: logits, and above all the classes of pixels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the name that everybody knows

from afformer.errors import ExportError
from afformer.measure import metrics
from afformer.model.network import AFFormer
from afformer.runtime.backends.base import Backend
from afformer.runtime.backends.registry import open_backend
from afformer.spec import ColorOrder, InputKind, ModelSpec, OutputKind, Precision

Pixels = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How far a model may be from its reference."""

    max_relative: float
    """Largest difference of a logit, as a share of the reference's largest magnitude."""
    min_agreement: float
    """Smallest share of pixels with the same class."""


TOLERANCES = {
    Precision.FP32: Tolerance(max_relative=2e-4, min_agreement=0.9995),
    Precision.FP16: Tolerance(max_relative=3e-2, min_agreement=0.995),
}


@dataclasses.dataclass(frozen=True)
class Verification:
    """What was measured; the figures of logits are None for a model that gives class maps."""

    pictures: int
    pixel_agreement: float
    miou: float
    """Mean IoU with the reference's class maps as the truth."""
    max_abs: float | None
    max_relative: float | None
    cosine: float | None

    def summary(self) -> str:
        """One line for people."""
        tensors = ""
        if self.max_abs is not None and self.max_relative is not None and self.cosine is not None:
            tensors = f"max abs {self.max_abs:.1e}, max relative {self.max_relative:.1e}, cosine {self.cosine:.6f}, "
        return (
            f"{tensors}same class on {self.pixel_agreement:.3%} of pixels, mIoU {self.miou:.4f} "
            f"({self.pictures} picture{'s' if self.pictures > 1 else ''})"
        )


def verify(model: Path, network: AFFormer, pictures: Sequence[Pixels]) -> Verification:
    """Runs an exported model on ONNX Runtime and compares it with the network that it was made from.

    Args:
        model: The ONNX file.
        network: The reference, in evaluation mode.
        pictures: `(H, W, 3)` uint8 RGB pictures of any size; they are resized to the input.

    Raises:
        BackendError: ONNX Runtime cannot run the model.
        ExportError: The model is further from the reference than `TOLERANCES` allow.
        SpecError: The model has no readable spec.
    """
    with open_backend(model, "onnxruntime") as backend:
        result = _compare(backend, network, pictures)
        _judge(result, backend.spec.precision)
    return result


def _compare(backend: Backend, network: AFFormer, pictures: Sequence[Pixels]) -> Verification:
    spec = backend.spec
    confusion = metrics.ConfusionMatrix(spec.num_classes, ignore=None)
    expected_logits, got_logits = [], []
    for rgb in _batches(pictures, spec):
        pixels = rgb if spec.color_order is ColorOrder.RGB else np.ascontiguousarray(rgb[..., ::-1])
        scaled = (pixels - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
        normalised = scaled.transpose(0, 3, 1, 2).copy()
        with torch.inference_mode():
            expected = network(torch.from_numpy(normalised))
        got = backend.run(pixels if spec.input is InputKind.UINT8 else normalised)
        if spec.output is OutputKind.LOGITS:
            expected_logits.append(expected.numpy())
            got_logits.append(got.copy())
        confusion.add(_classmap(expected, spec), _classmap(torch.from_numpy(got.copy()), spec))
    norms = metrics.error_norms(np.stack(expected_logits), np.stack(got_logits)) if got_logits else None
    return Verification(
        pictures=len(pictures),
        pixel_agreement=confusion.pixel_accuracy,
        miou=confusion.miou,
        max_abs=norms.max_abs if norms else None,
        max_relative=norms.max_relative if norms else None,
        cosine=norms.cosine if norms else None,
    )


def _judge(result: Verification, precision: Precision) -> None:
    tolerance = TOLERANCES[precision]
    far = result.max_relative is not None and not result.max_relative <= tolerance.max_relative
    if far or not result.pixel_agreement >= tolerance.min_agreement:
        overflow = precision is Precision.FP16 and result.max_abs is not None and not math.isfinite(result.max_abs)
        raise ExportError(
            f"the exported model differs from PyTorch: {result.summary()}; expected a relative difference of at most "
            f"{tolerance.max_relative:g} and at least {tolerance.min_agreement:.2%} of pixels; nothing was written"
            + ("; this network exceeds the range of float16, export it with `precision=fp32`" if overflow else "")
        )


def _batches(pictures: Sequence[Pixels], spec: ModelSpec) -> list[Pixels]:
    """`(n, H, W, 3)` batches of resized pictures; the last one is filled up with the first pictures."""
    height, width = spec.input_hw
    resized = [cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR) for picture in pictures]
    starts = range(0, len(resized), spec.batch)
    return [
        np.stack([resized[(start + i) % len(resized)] for i in range(spec.batch)]).astype(np.uint8) for start in starts
    ]


def _classmap(output: torch.Tensor, spec: ModelSpec) -> npt.NDArray[np.integer]:
    if output.dim() == 3:
        return output.numpy()
    return F.interpolate(output.float(), spec.input_hw, mode="bilinear", align_corners=False).argmax(1).numpy()
