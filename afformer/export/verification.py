"""Compares an exported model with PyTorch on real pictures: logits, and above all the classes of pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from afformer.errors import ExportError
from afformer.export.half import LEAST_AGREEMENT
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
    """Smallest share of pixels with the same class, not counting ties."""


TOLERANCES = {
    Precision.FP32: Tolerance(max_relative=2e-4, min_agreement=0.9995),
    Precision.FP16: Tolerance(max_relative=3e-2, min_agreement=LEAST_AGREEMENT),
}
TIE = 1e-5
"""Classes tie where their logits in the reference differ by no more than this share of its largest magnitude: rounding
decides which one wins, and that says nothing about the model."""


_REMEDY = "this network's numbers do not fit float16, use `precision=fp32`"


@dataclasses.dataclass(frozen=True)
class Verification:
    """What was measured; the figures of logits are None for a model that gives class maps."""

    pictures: int
    pixel_agreement: float
    """Share of pixels with the same class, or with one that ties with it in the reference."""
    ties: float
    """Share of pixels that got another class of a tie."""
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
        tied = f" ({self.ties:.3%} are ties between classes)" if self.ties else ""
        return (
            f"{tensors}same class on {self.pixel_agreement:.3%} of pixels{tied}, mIoU {self.miou:.4f} "
            f"({self.pictures} picture{'s' if self.pictures > 1 else ''})"
        )


Reference = Callable[[Pixels], torch.Tensor]
"""`(n, H, W, 3)` uint8 RGB at the input's size -> logits `(n, classes, h, w)`."""


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
        result = _compare(backend, lambda pixels: _network_logits(network, pixels, backend.spec), pictures)
        _judge(result, backend.spec.precision)
    return result


def _network_logits(network: AFFormer, pixels: Pixels, spec: ModelSpec) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = network(torch.from_numpy(_normalised(pixels, spec)))
    return logits


def _normalised(pixels: Pixels, spec: ModelSpec) -> npt.NDArray[np.float32]:
    scaled = (pixels - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32)


def _feed(pixels: Pixels, spec: ModelSpec) -> npt.NDArray[np.generic]:
    return pixels if spec.input is InputKind.UINT8 else _normalised(pixels, spec)


def _compare(backend: Backend, reference: Reference, pictures: Sequence[Pixels]) -> Verification:
    spec = backend.spec
    confusion = metrics.ConfusionMatrix(spec.num_classes, ignore=None)
    expected_logits, got_logits, tied = [], [], 0
    for pixels, count in _batches(pictures, spec):
        expected = reference(pixels)[:count]
        got = torch.from_numpy(backend.run(_feed(pixels, spec))[:count].copy())
        if spec.output is OutputKind.LOGITS:
            expected_logits.append(expected.numpy())
            got_logits.append(got.numpy())
        truth, found, ties = _classmaps(expected, got, spec)
        confusion.add(truth, found)
        tied += ties
    norms = metrics.error_norms(np.concatenate(expected_logits), np.concatenate(got_logits)) if got_logits else None
    return Verification(
        pictures=len(pictures),
        pixel_agreement=confusion.pixel_accuracy,
        ties=tied / int(confusion.counts.sum()),
        miou=confusion.miou,
        max_abs=norms.max_abs if norms else None,
        max_relative=norms.max_relative if norms else None,
        cosine=norms.cosine if norms else None,
    )


def _judge(result: Verification, precision: Precision) -> None:
    tolerance = TOLERANCES[precision]
    far = result.max_relative is not None and not result.max_relative <= tolerance.max_relative
    if far or not result.pixel_agreement >= tolerance.min_agreement:
        raise ExportError(
            f"the exported model differs from PyTorch: {result.summary()}; expected a relative difference of at most "
            f"{tolerance.max_relative:g} and at least {tolerance.min_agreement:.2%} of pixels; nothing was written"
            + (f"; {_REMEDY}" if precision is Precision.FP16 else "")
        )


def _batches(pictures: Sequence[Pixels], spec: ModelSpec) -> Iterator[tuple[Pixels, int]]:
    """`(n, H, W, 3)` batches of resized pictures in the model's channel order, and how many of them count.

    The last one is filled up.
    """
    height, width = spec.input_hw
    for start in range(0, len(pictures), spec.batch):
        group = [cv2.resize(p, (width, height), interpolation=cv2.INTER_LINEAR) for p in pictures[start:][: spec.batch]]
        rgb = np.stack([group[i % len(group)] for i in range(spec.batch)]).astype(np.uint8)
        yield (rgb if spec.color_order is ColorOrder.RGB else np.ascontiguousarray(rgb[..., ::-1])), len(group)


def _classmaps(
    expected: torch.Tensor, got: torch.Tensor, spec: ModelSpec
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.integer], int]:
    """The class maps of both, and on how many pixels they are different classes of a tie; these count as the same."""
    full = _at_input_size(expected, spec)
    truth = full.argmax(1)
    found = got.long() if got.dim() == 3 else _at_input_size(got, spec).argmax(1)
    behind = full.amax(1) - full.gather(1, found[:, None])[:, 0]
    tied = (found != truth) & (behind <= TIE * expected.abs().max())
    return truth.numpy(), torch.where(tied, truth, found).numpy(), int(tied.sum())


def _at_input_size(logits: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
    if tuple(logits.shape[2:]) == spec.input_hw:
        return logits
    return F.interpolate(logits.float(), spec.input_hw, mode="bilinear", align_corners=False)
