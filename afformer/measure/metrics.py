"""How good a class map is, and how far apart two tensors are. Pure numpy."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from afformer.counts import pair_counts
from afformer.datasets import IGNORE


class ConfusionMatrix:
    """Counts pixels by true and predicted class, picture by picture.

    Args:
        num_classes: Number of classes.
        ignore: The value in the truth of pixels that are not counted, or None where all are.

    Attributes:
        counts: `(classes, classes)` int64; rows are the truth, columns the prediction.
    """

    def __init__(self, num_classes: int, ignore: int | None = IGNORE) -> None:
        if num_classes < 1 or (ignore is not None and num_classes > ignore):
            raise ValueError(
                f"there must be at least one class, and {ignore} in the truth none; got {num_classes} classes"
            )
        self.counts: npt.NDArray[np.int64] = np.zeros((num_classes, num_classes), np.int64)
        self._ignore = ignore

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.counts)

    def add(self, truth: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer]) -> None:
        """Counts one picture.

        Args:
            truth: Class ids of any integer type and shape.
            predicted: Class ids of any integer type, same shape.

        Raises:
            ValueError: The shapes differ, or there are ids that are no classes.
        """
        if truth.shape != predicted.shape:
            raise ValueError(f"truth and prediction must have one shape, but got {truth.shape} and {predicted.shape}")
        if truth.size == 0:
            return
        n = self.num_classes
        rows = n if self._ignore is None else self._ignore + 1  # ignored pixels have a row, too
        _check_range("predicted", predicted, n)
        _check_range("true", truth, rows)
        table = pair_counts(truth, predicted, (rows, n))
        if table[n:-1].any():
            raise ValueError(f"true classes must be 0..{n - 1} or {self._ignore}, but there are others")
        self.counts += table[:n]

    @property
    def per_class_iou(self) -> npt.NDArray[np.float64]:
        """`(classes,)` intersection over union; nan for a class that is neither true nor predicted anywhere."""
        hits = np.diag(self.counts)
        union = self.counts.sum(0) + self.counts.sum(1) - hits
        return np.where(union > 0, hits / np.maximum(union, 1), np.nan)

    def iou_by_name(self, classes: Sequence[str]) -> dict[str, float]:
        """`per_class_iou` by class name; a name that classes share gets a number."""
        named: dict[str, float] = {}
        for index, (name, iou) in enumerate(zip(classes, self.per_class_iou.tolist(), strict=True)):
            named[name if name not in named else f"{name} ({index})"] = iou
        return named

    @property
    def miou(self) -> float:
        """Mean of the classes' IoU over those that occur; nan if none does."""
        iou = self.per_class_iou
        present = ~np.isnan(iou)
        return float(iou[present].mean()) if present.any() else math.nan

    @property
    def pixel_accuracy(self) -> float:
        """Share of the counted pixels that are right; nan if none was counted."""
        total = int(self.counts.sum())
        return float(np.trace(self.counts)) / total if total else math.nan


def pixel_agreement(a: npt.NDArray[np.integer], b: npt.NDArray[np.integer]) -> float:
    """Share of the pixels, 0..1, that have the same class in two class maps of one shape.

    Raises:
        ValueError: The shapes differ, or there are no pixels.
    """
    if a.shape != b.shape or a.size == 0:
        raise ValueError(f"class maps must have one shape and at least one pixel, but got {a.shape} and {b.shape}")
    return float(np.count_nonzero(a == b)) / a.size


@dataclasses.dataclass(frozen=True)
class ErrorNorms:
    """How far a tensor is from its reference. A value that is not finite makes them nan or inf, never small.

    Attributes:
        max_abs: Largest absolute difference.
        max_relative: `max_abs` over the largest absolute value of the reference. (Relative to each value by itself, a
            logit near zero would count for everything.)
        cosine: Cosine of the angle between the two as vectors: 1 is the same direction. 1 if both are zero.
    """

    max_abs: float
    max_relative: float
    cosine: float


def error_norms(reference: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> ErrorNorms:
    """Compares a tensor with its reference, in float64.

    Raises:
        ValueError: The shapes differ, or the tensors are empty.
    """
    if reference.shape != other.shape or reference.size == 0:
        raise ValueError(f"tensors must have one shape and not be empty, but got {reference.shape} and {other.shape}")
    a, b = reference.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    with np.errstate(invalid="ignore", over="ignore"):
        max_abs = float(np.abs(a - b).max())
        scale = float(np.abs(a).max())
        lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
        cosine = float(a @ b) / lengths if lengths else float(not a.any() and not b.any())
    if scale:
        return ErrorNorms(max_abs, max_abs / scale, cosine)
    return ErrorNorms(max_abs, 0.0 if max_abs == 0 else math.inf, cosine)


def _check_range(what: str, ids: npt.NDArray[np.integer], end: int) -> None:
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= end:
        raise ValueError(f"{what} classes must be 0..{end - 1}, but got {low}..{high}")
