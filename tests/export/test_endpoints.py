from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from afformer.export.endpoints import ExportedNetwork, example_input
from afformer.spec import InputKind, ModelSpec, OutputKind
from tests.builders.networks import random_network


def spec_of(num_classes: int, **changes: object) -> ModelSpec:
    names = tuple(f"c{i}" for i in range(num_classes))
    spec = ModelSpec("tiny", (64, 72), names, ((0, 0, 0),) * num_classes, batch=2)
    return dataclasses.replace(spec, **changes)  # type: ignore[arg-type]


def test_bytes_give_the_logits_of_the_normalised_picture() -> None:
    network, spec = random_network(), spec_of(5, input=InputKind.UINT8)
    image = torch.randint(0, 256, example_input(spec).shape, dtype=torch.uint8)
    normalised = ((image - torch.tensor(spec.mean)) / torch.tensor(spec.std)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        torch.testing.assert_close(ExportedNetwork(network, spec)(image), network(normalised), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("num_classes", "dtype"), [(5, torch.uint8), (256, torch.uint8), (257, torch.int32)])
def test_class_map_is_the_argmax_of_the_upsampled_logits_in_the_smallest_type(
    num_classes: int, dtype: torch.dtype
) -> None:
    network, spec = random_network(num_classes=num_classes), spec_of(num_classes, output=OutputKind.CLASSMAP)
    image = torch.randn(example_input(spec).shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        classmap = ExportedNetwork(network, spec)(image)
        full = F.interpolate(network(image), (64, 72), mode="bilinear", align_corners=False)
    assert (classmap.dtype, tuple(classmap.shape)) == (dtype, (2, 64, 72))
    assert (classmap == full.argmax(1)).float().mean() > 0.9999
