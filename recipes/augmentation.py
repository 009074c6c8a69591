"""Pictures for training: randomly scaled, cropped, flipped and coloured, the same again for the same seed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from cv2.typing import MatLike
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from afformer import datasets
from afformer.images import read_image, read_label

GREY = (124, 116, 104)
"""The mean colour, for what lies outside of a picture."""


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Random scale, crop, flip and colours; the same for the same generator."""

    crop: tuple[int, int]
    scale: tuple[float, float]
    jitter: float = 0.4
    hue: int = 12
    """Largest turn of the hue, in OpenCV's half degrees."""

    def __call__(self, rng: np.random.Generator, image: MatLike, label: MatLike) -> tuple[MatLike, MatLike]:
        """`(H, W, 3)` uint8 RGB and `(H, W)` uint8 of any size -> the same of the crop's size."""
        factor = math.exp(rng.uniform(math.log(self.scale[0]), math.log(self.scale[1])))
        size = [max(8, round(side * factor)) for side in label.shape[::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
        label = cv2.resize(label, size, interpolation=cv2.INTER_NEAREST_EXACT)
        top, left = (
            int(rng.integers(min(0, s - c), max(0, s - c) + 1)) for s, c in zip(label.shape, self.crop, strict=True)
        )
        # crops a side that is too long, pads one that is too short
        shift = np.array([[1, 0, -left], [0, 1, -top]], np.float32)
        crop = self.crop[::-1]
        image = cv2.warpAffine(image, shift, crop, flags=cv2.INTER_NEAREST, borderValue=GREY)
        label = cv2.warpAffine(label, shift, crop, flags=cv2.INTER_NEAREST, borderValue=datasets.IGNORE)
        if rng.random() < 0.5:
            image, label = image[:, ::-1], label[:, ::-1]
        return np.ascontiguousarray(self._recoloured(rng, image)), np.ascontiguousarray(label)

    def _recoloured(self, rng: np.random.Generator, image: MatLike) -> MatLike:
        brightness, contrast, saturation = rng.uniform(1 - self.jitter, 1 + self.jitter, 3)
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(np.int16) + rng.integers(-self.hue, self.hue + 1)) % 180
        hsv[..., 1] = np.minimum(hsv[..., 1] * saturation, 255)
        image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
        offset = brightness * float(image.mean()) * (1 - contrast)
        return cv2.addWeighted(image, brightness * contrast, image, 0.0, offset)  # saturates


class Pictures(TorchDataset[tuple[Tensor, Tensor]]):
    """The pictures and labels of a split, in memory. Items are asked for by (epoch, index), which seeds the changes."""

    def __init__(self, dataset: datasets.Dataset, folder: Path, augment: Augmentation, seed: int) -> None:
        pairs = datasets.pairs(dataset, folder / "images", folder / "labels")
        self.items = [(read_image(picture), dataset.train_ids(read_label(label), label)) for picture, label in pairs]
        self.augment, self.seed = augment, seed

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """`(3, H, W)` uint8 RGB and `(H, W)` uint8 class ids."""
        image, label = self.augment(np.random.default_rng((self.seed, *key)), *self.items[key[1]])
        return torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(label)

    def class_weights(self, classes: int) -> Tensor:
        """`(classes,)` float32: rare classes count more, by the square root of how much rarer they are; mean 1."""
        counts = sum(np.bincount(label.ravel(), minlength=256)[:classes] for _, label in self.items)
        weights = np.where(counts > 0, 1 / np.sqrt(np.maximum(counts, 1)), 0)
        return torch.from_numpy(weights / weights[weights > 0].mean()).float()


def batches(pictures: int, batch: int, epochs: range, seed: int) -> Iterator[list[tuple[int, int]]]:
    """The (epoch, index) pairs of every full batch; the order depends on seed and epoch alone."""
    for epoch in epochs:
        order = np.random.default_rng((seed, epoch)).permutation(pictures)
        for start in range(0, pictures - batch + 1, batch):
            yield [(epoch, int(index)) for index in order[start : start + batch]]
