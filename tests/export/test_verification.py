from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from afformer import assets
from afformer.errors import ExportError
from afformer.export.endpoints import Deployment
from afformer.export.verification import Array, verify
from afformer.images import read_image
from afformer.model.checkpoint import load_checkpoint
from afformer.spec import InputKind, ModelSpec, OutputKind, Precision

PICTURES = [read_image(path) for path in assets.pictures()]
CHECKPOINT = load_checkpoint(assets.CHECKPOINT)
NETWORK = CHECKPOINT.build()
SPEC = CHECKPOINT.spec((96, 128))


def artifact(spec: ModelSpec, harm: Callable[[torch.Tensor], torch.Tensor] = lambda x: x) -> Callable[[Array], Array]:
    module = Deployment(NETWORK, spec)

    def run(image: Array) -> Array:
        with torch.inference_mode():
            return harm(module(torch.from_numpy(image))).numpy()

    return run


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_faithful_artifact_agrees_everywhere(batch: int) -> None:
    spec = dataclasses.replace(SPEC, batch=batch)
    result = verify(artifact(spec), NETWORK, spec, PICTURES)
    assert result.pictures == 2
    assert result.pixel_agreement > 0.9999
    assert result.max_abs is not None
    assert result.max_abs < 1e-4
    assert result.cosine == pytest.approx(1.0)


def test_class_maps_are_compared_by_pixels_alone() -> None:
    spec = dataclasses.replace(SPEC, input=InputKind.UINT8, output=OutputKind.CLASSMAP)
    result = verify(artifact(spec), NETWORK, spec, PICTURES)
    assert (result.max_abs, result.max_relative, result.cosine) == (None, None, None)
    assert result.pixel_agreement > 0.999
    assert result.miou > 0.99


@pytest.mark.parametrize(
    "harm",
    [
        lambda x: x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)),
        lambda x: x * float("nan"),
        lambda x: x.roll(1, dims=1),
        lambda x: -x,
        torch.zeros_like,
    ],
    ids=["noise", "nan", "classes shifted", "sign", "zeros"],
)
def test_artifact_that_answers_otherwise_is_refused(harm: Callable[[torch.Tensor], torch.Tensor]) -> None:
    with pytest.raises(ExportError, match=r"differs from PyTorch: max abs .* same class on"):
        verify(artifact(SPEC, harm), NETWORK, SPEC, PICTURES)


def test_float16_may_differ_more_than_float32_but_not_in_its_pixels() -> None:
    half = dataclasses.replace(SPEC, precision=Precision.FP16)
    verify(artifact(half, lambda x: x.half().float()), NETWORK, half, PICTURES)
    with pytest.raises(ExportError):
        verify(artifact(SPEC, lambda x: x * 1.001), NETWORK, SPEC, PICTURES)
    with pytest.raises(ExportError):
        verify(artifact(half, lambda x: x.round()), NETWORK, half, PICTURES)


def test_padding_of_the_last_batch_does_not_count() -> None:
    spec = dataclasses.replace(SPEC, batch=2)
    seen: list[np.ndarray] = []

    def recording(image: Array) -> Array:
        seen.append(image)
        return artifact(spec)(image)

    assert verify(recording, NETWORK, spec, PICTURES[:1]).pictures == 1
    np.testing.assert_array_equal(seen[0][0], seen[0][1])
