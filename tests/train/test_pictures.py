from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from afformer import datasets
from afformer.datasets import IGNORE
from afformer.errors import ImageError
from afformer.train.folders import Pair
from afformer.train.order import Order
from afformer.train.pictures import Pictures

CPU = torch.device("cpu")
DATASET = datasets.generic(3)


def write_pair(folder: Path, name: str, label: np.ndarray, image: np.ndarray | None = None) -> Pair:
    """A picture, by default of its label's shape and in one colour, and a label."""
    picture, truth = folder / f"{name}.png", folder / f"{name}_label.png"
    cv2.imwrite(str(picture), np.full((*label.shape, 3), 77, np.uint8) if image is None else image)
    cv2.imwrite(str(truth), label)
    return picture, truth


def opened(pairs: list[Pair], memory_gb: float = 1.0) -> Pictures:
    return Pictures(pairs, DATASET, CPU, memory_gb=memory_gb, workers=2, seen=lambda done, total: None)


@pytest.fixture
def pairs(tmp_path: Path) -> list[Pair]:
    """Of three sizes; the median is 40x60."""
    sizes = [(40, 60), (20, 30), (80, 90), (40, 60), (40, 60)]
    labels = [np.full(size, index % 3, np.uint8) for index, size in enumerate(sizes)]
    labels[0][0] = IGNORE
    return [write_pair(tmp_path, str(index), label) for index, label in enumerate(labels)]


def test_pictures_of_any_size_lie_in_canvases_of_the_median_size(pairs: list[Pair]) -> None:
    pictures = opened(pairs)
    assert pictures.canvas_hw == (40, 60)
    batch = pictures._together([pictures._read(pair) for pair in pairs])
    assert batch.sizes.tolist() == [[40, 60], [20, 30], [40, 45], [40, 60], [40, 60]]
    assert (batch.labels[1, :20, :30] == 1).all()
    assert (batch.labels[1, 20:] == IGNORE).all()
    assert (batch.images[1, :, :20, :30] == 77).all()
    assert (batch.labels[2, :, :45] == 2).all()


def test_pixels_are_counted_without_the_ignored_ones(pairs: list[Pair]) -> None:
    assert opened(pairs).pixels.tolist() == [39 * 60 + 40 * 60, 20 * 30 + 40 * 60, 80 * 90]


def test_pictures_from_files_are_those_from_memory(pairs: list[Pair]) -> None:
    kept, read = opened(pairs), opened(pairs, memory_gb=0)
    assert kept.in_memory
    assert not read.in_memory
    ours, theirs = (source.batches(3, Order(len(pairs), seed=1)) for source in (kept, read))
    for _ in range(8):
        for a, b in zip(next(ours), next(theirs), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("memory_gb", [0.0, 1.0])
def test_damage_is_found_before_training(tmp_path: Path, pairs: list[Pair], memory_gb: float) -> None:
    torn = write_pair(tmp_path, "torn", np.zeros((40, 60), np.uint8))
    torn[0].write_bytes(torn[0].read_bytes()[:50])
    with pytest.raises(ImageError, match=r"torn\.png: is truncated"):
        opened([*pairs, torn], memory_gb)
    odd = write_pair(tmp_path, "odd", np.zeros((40, 60), np.uint8), np.zeros((40, 61, 3), np.uint8))
    with pytest.raises(ImageError, match=r"odd_label\.png: is 60x40, but its picture"):
        opened([*pairs, odd], memory_gb)
    unknown = write_pair(tmp_path, "unknown", np.full((40, 60), 7, np.uint8))
    with pytest.raises(ImageError, match=r"unknown_label\.png: holds the id 7"):
        opened([*pairs, unknown], memory_gb)


def test_labels_without_a_single_class_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="not one pixel has a class"):
        opened([write_pair(tmp_path, "void", np.full((8, 8), IGNORE, np.uint8))])
