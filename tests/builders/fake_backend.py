"""A backend without a network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from afformer.errors import BackendError
from afformer.runtime.backends.base import Array, Backend, output_tensor
from afformer.spec import InputKind, ModelSpec, OutputKind


class FakeBackend(Backend):
    """Answers from a function.

    Args:
        spec: What to pretend to be.
        answer: From the input tensor to the output tensor. Left out: classes are levels of brightness, the darkest
            being class 0.

    Attributes:
        calls: A copy of every input tensor, in order.
    """

    def __init__(self, spec: ModelSpec, answer: Callable[[Array], Array] | None = None) -> None:
        self.spec = spec
        self.description = "fake"
        self.calls: list[Array] = []
        self._answer = answer or self._by_brightness

    def _run(self, image: Array) -> Array:
        self.calls.append(image.copy())
        answer = self._answer(image)
        name, shape, dtype = output_tensor(self.spec)
        if answer.shape != shape or answer.dtype != dtype:
            raise BackendError(
                f"output '{name}' must be {dtype} of shape {shape}, but the fake's answer is {answer.dtype} of shape "
                f"{answer.shape}"
            )
        return answer

    def _by_brightness(self, image: Array) -> Array:
        levels = np.linspace(0, 1, self.spec.num_classes, dtype=np.float32)[:, None, None]
        brightness = _brightness(image, self.spec)
        if self.spec.output is OutputKind.CLASSMAP:
            nearest = np.rint(brightness * (self.spec.num_classes - 1))
            return nearest.astype(output_tensor(self.spec).dtype)
        height, width = self.spec.logits_hw
        sampled = brightness[:, : 8 * height : 8, : 8 * width : 8]
        return np.asarray(-np.abs(sampled[:, None] - levels), np.float32)


def _brightness(image: Array, spec: ModelSpec) -> npt.NDArray[np.float64]:
    """`(n, H, W)`, from 0 to 1."""
    pixels = image.astype(np.float64)
    if spec.input is InputKind.FLOAT32:
        pixels = pixels.transpose(0, 2, 3, 1) * spec.std + spec.mean
    return np.asarray(np.clip(pixels.mean(axis=-1) / 255, 0, 1), np.float64)
