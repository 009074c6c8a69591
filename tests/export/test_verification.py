from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from afformer import assets
from afformer.errors import ExportError
from afformer.export import verification
from afformer.export.endpoints import ExportedNetwork
from afformer.export.verification import Pixels, Verification
from afformer.images import read_image
from afformer.model.checkpoint import load_checkpoint
from afformer.model.network import AFFormer
from afformer.runtime.backends.base import Array
from afformer.spec import InputKind, ModelSpec, OutputKind, Precision
from tests.builders.fake_backend import FakeBackend

Verified = Callable[..., tuple[Verification, FakeBackend]]
PICTURES = [read_image(path) for path in assets.pictures()]
CHECKPOINT = load_checkpoint(assets.CHECKPOINT)
NETWORK = CHECKPOINT.build()
SPEC = CHECKPOINT.spec((96, 128))


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> Verified:
    """Verifies the exported network, its answer changed by `harm`, as if it were the model in a file."""

    def run(
        spec: ModelSpec,
        harm: Callable[[torch.Tensor], torch.Tensor] = lambda x: x,
        pictures: Sequence[Pixels] = PICTURES,
        network: AFFormer = NETWORK,
    ) -> tuple[Verification, FakeBackend]:
        module = ExportedNetwork(network, spec)

        def answer(image: Array) -> Array:
            with torch.inference_mode():
                return harm(module(torch.from_numpy(image))).numpy()

        backend = FakeBackend(spec, answer)
        monkeypatch.setattr(verification, "open_backend", lambda path, name: backend)
        return verification.verify(Path("model.onnx"), network, pictures), backend

    return run


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_faithful_model_agrees_everywhere(verified: Verified, batch: int) -> None:
    spec = dataclasses.replace(SPEC, batch=batch)
    result, _ = verified(spec)
    assert result.pictures == 2
    assert result.pixel_agreement > 0.9999
    assert result.max_abs is not None
    assert result.max_abs < 1e-4
    assert result.cosine == pytest.approx(1.0)


def test_class_maps_are_compared_by_pixels_alone(verified: Verified) -> None:
    spec = dataclasses.replace(SPEC, input=InputKind.UINT8, output=OutputKind.CLASSMAP)
    result, _ = verified(spec)
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
def test_a_model_that_answers_otherwise_is_refused(
    verified: Verified, harm: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    with pytest.raises(ExportError, match=r"differs from PyTorch: max abs .* same class on"):
        verified(SPEC, harm)


def test_float16_may_differ_more_than_float32_but_not_in_its_pixels(verified: Verified) -> None:
    float16 = dataclasses.replace(SPEC, precision=Precision.FP16)
    verified(float16, lambda x: x.half().float())
    with pytest.raises(ExportError):
        verified(SPEC, lambda x: x * 1.001)
    with pytest.raises(ExportError):
        verified(float16, lambda x: x.round())


def test_padding_of_the_last_batch_does_not_count(verified: Verified) -> None:
    spec = dataclasses.replace(SPEC, batch=2)
    result, backend = verified(spec, pictures=PICTURES[:1])
    assert result.pictures == 1
    (batch,) = backend.calls
    np.testing.assert_array_equal(batch[0], batch[1])


@pytest.mark.parametrize(("precision", "advised"), [(Precision.FP16, True), (Precision.FP32, False)])
def test_float32_is_advised_where_float16_fails(verified: Verified, precision: Precision, advised: bool) -> None:
    with pytest.raises(ExportError) as caught:
        verified(dataclasses.replace(SPEC, precision=precision), lambda x: x * float("inf"))
    assert ("use `precision=fp32`" in str(caught.value)) == advised


def test_a_tie_between_classes_may_go_either_way_and_is_counted(verified: Verified) -> None:
    network = CHECKPOINT.build()
    road, pavement = 3, 4
    with torch.no_grad():
        network.head.classify.weight[pavement] = network.head.classify.weight[road]
        network.head.classify.bias[pavement] = network.head.classify.bias[road]  # type: ignore[index]

    def other_way(logits: torch.Tensor) -> torch.Tensor:
        logits[:, pavement] += 1e-6
        return logits

    result, _ = verified(SPEC, other_way, network=network)
    assert result.pixel_agreement > 0.9999
    assert result.ties > 0.1
    assert "are ties between classes" in result.summary()


def test_classes_that_do_not_tie_must_not_be_confused(verified: Verified) -> None:
    with pytest.raises(ExportError):
        verified(dataclasses.replace(SPEC, output=OutputKind.CLASSMAP), lambda x: (x + 1) % 11)


def test_pictures_that_fill_up_a_batch_do_not_count_twice(verified: Verified) -> None:
    def wrong_from_the_second(logits: torch.Tensor) -> torch.Tensor:
        logits[1:] = logits[1:].roll(1, dims=1)
        return logits

    result, _ = verified(dataclasses.replace(SPEC, batch=3), wrong_from_the_second, pictures=PICTURES[:1])
    assert result.pixel_agreement > 0.9999
