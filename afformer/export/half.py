"""float32 ONNX -> float16 ONNX that stays inside float16's range on pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import onnx

from afformer.errors import ExportError
from afformer.export.float16 import float32_nodes, to_float16
from afformer.export.half_range import PRODUCTS, unsafe_nodes
from afformer.runtime.preprocess import Image, fit_picture
from afformer.spec import ModelSpec

LEAST_AGREEMENT = 0.995
"""Smallest share of pixels on which a float16 model must give the float32 model's class."""


@dataclasses.dataclass(frozen=True)
class HalfModel:
    """A float16 model.

    Attributes:
        model: The graph.
        kept: Why nodes are in float32 that usually are in float16, by name.
    """

    model: onnx.ModelProto
    kept: dict[str, str]


def half_model(model: onnx.ModelProto, spec: ModelSpec, pictures: Sequence[Image]) -> HalfModel:
    """Converts to float16 what stays inside its range on these pictures.

    Args:
        model: A float32 model.
        spec: Its spec.
        pictures: `(H, W, 3)` uint8 RGB, of any size.

    Raises:
        ExportError: Not one convolution or matrix product can be in float16.
    """
    fixed = float32_nodes(model)
    candidates = {node.name for node in model.graph.node} - fixed
    kept = unsafe_nodes(model, candidates, _feeds(pictures, spec))
    products = [node.name for node in model.graph.node if node.name in candidates and node.op_type in PRODUCTS]
    if products and kept.keys() >= set(products):
        raise ExportError(
            f"float16 cannot hold the numbers of any of the {len(products)} convolutions and matrix products (first: "
            f"{kept[products[0]]}), so the model would be float32 throughout; use `precision=fp32`"
        )
    return HalfModel(to_float16(model, fixed | kept.keys()), kept)


def kept_summary(kept: dict[str, str]) -> str:
    """One line for people; empty if nothing is kept."""
    if not kept:
        return ""
    first, reason = next(iter(kept.items()))
    more = f" and {len(kept) - 1} more operators" if len(kept) > 1 else ""
    return f"kept in float32, because float16 cannot hold their numbers: {first} ({reason}){more}"


def _feeds(pictures: Sequence[Image], spec: ModelSpec) -> Iterator[npt.NDArray[np.generic]]:
    """`(batch, ...)` input tensors; the last one is filled up with its own pictures."""
    for start in range(0, len(pictures), spec.batch):
        group = [fit_picture(picture, spec).tensor for picture in pictures[start : start + spec.batch]]
        yield np.stack([group[i % len(group)] for i in range(spec.batch)])
