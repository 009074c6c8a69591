from __future__ import annotations

import pytest
import torch

from afformer.export.static import StaticAFFormer, after_stride
from afformer.model.network import VARIANTS
from tests.builders.networks import random_network


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("size", "batch"), [((64, 64), 1), ((65, 71), 2), ((360, 480), 1), ((333, 500), 1), ((64, 200), 3)]
)
def test_static_network_is_the_same_function(variant: str, size: tuple[int, int], batch: int) -> None:
    network = random_network(VARIANTS[variant], num_classes=7)
    image = torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected, got = network(image), StaticAFFormer(network, size)(image)
    assert expected.abs().max() > 0.5
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "stride", "expected"), [((45, 60), 4, (12, 15)), ((45, 60), 2, (23, 30)), ((1, 2), 1, (1, 2))]
)
def test_odd_sizes_round_up(size: tuple[int, int], stride: int, expected: tuple[int, int]) -> None:
    assert after_stride(size, stride) == expected


def test_making_the_static_network_leaves_the_trained_one_as_it_was() -> None:
    network = random_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    StaticAFFormer(network, (64, 64))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
