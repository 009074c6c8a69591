"""The pictures that a network learns from: read, counted, and handed out in batches on the device."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from afformer import datasets
from afformer.counts import id_counts
from afformer.errors import ImageError
from afformer.images import ClassMap, RGBImage
from afformer.measure.truth import read_labelled, settled
from afformer.train.folders import Pair
from afformer.train.order import Order

T = TypeVar("T")
R = TypeVar("R")

GREY = (124, 116, 104)
"""The mean colour, for what lies outside of a picture."""


class Batch(NamedTuple):
    """Pictures of any size, each in the top left corner of a canvas of one size.

    Attributes:
        images: `(n, 3, H, W)` uint8 RGB.
        labels: `(n, H, W)` uint8 class ids; `IGNORE` where there is none, and outside of the picture.
        sizes: `(n, 2)` float32, height and width of each picture in pixels.
    """

    images: Tensor
    labels: Tensor
    sizes: Tensor


class Pictures:
    """A training split.

    Every file is read once at the start: damage is found before hours of training, and pixels are counted. The canvas
    is as high and wide as the pictures' median; larger pictures are shrunk to fit, none is enlarged.

    Args:
        pairs: At least one picture with its label.
        dataset: What the labels mean.
        device: Where batches are wanted.
        memory_gb: The pictures stay in the device's memory if they take no more than this.
        workers: Threads that read.
        seen: Told after each picture how many have been read, of how many.

    Attributes:
        canvas_hw: Height and width of the canvases, in pixels.
        pixels: `(classes,)` int64: labelled pixels of each class.

    Raises:
        ImageError: A picture or a label cannot be read, or the two differ in size.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        dataset: datasets.Dataset,
        device: torch.device,
        *,
        memory_gb: float,
        workers: int,
        seen: Callable[[int, int], None],
    ) -> None:
        self._dataset = settled(dataset, [label for _, label in pairs])
        self._pairs, self._device, self._workers = pairs, device, workers
        self.pixels = np.zeros(dataset.num_classes, np.int64)
        room, sizes, kept = memory_gb * 1e9, [], list[tuple[RGBImage, ClassMap]]()
        for image, label in _ahead(self._read, pairs, workers):
            self.pixels += id_counts(label, datasets.IGNORE + 1)[: dataset.num_classes]
            sizes.append(label.shape)
            room -= image.nbytes + label.nbytes
            if room >= 0:
                kept.append((image, label))
            else:
                kept.clear()
            seen(len(sizes), len(pairs))
        if not self.pixels.any():
            raise ImageError(f"{pairs[0][1].parent}: not one pixel has a class; every label is ignored as a whole")
        height, width = np.median(sizes, axis=0).astype(int).tolist()
        self.canvas_hw = (height, width)
        self._kept = self._together(kept) if kept else None

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def in_memory(self) -> bool:
        """Whether no file is read any more."""
        return self._kept is not None

    def batches(self, batch: int, order: Order) -> Iterator[Batch]:
        """Batches on the device without end, of the pictures that `order` names."""
        groups = order.batches(batch)
        if self._kept is None:
            return _ahead(
                lambda group: self._together([self._read(self._pairs[i]) for i in group]), groups, self._workers
            )
        return map(self._chosen, groups)

    def _chosen(self, group: list[int]) -> Batch:
        assert self._kept is not None
        where = torch.tensor(group, device=self._device)
        return Batch(*(part[where] for part in self._kept))

    def _read(self, pair: Pair) -> tuple[RGBImage, ClassMap]:
        return read_labelled(self._dataset, *pair)

    def _together(self, items: Sequence[tuple[RGBImage, ClassMap]]) -> Batch:
        images = np.empty((len(items), 3, *self.canvas_hw), np.uint8)
        images[:] = np.array(GREY, np.uint8)[:, None, None]
        labels = np.full((len(items), *self.canvas_hw), datasets.IGNORE, np.uint8)
        sizes = np.zeros((len(items), 2), np.float32)
        for index, item in enumerate(items):
            image, label = _fitting(*item, self.canvas_hw)
            height, width = sizes[index] = label.shape
            images[index, :, :height, :width] = image.transpose(2, 0, 1)
            labels[index, :height, :width] = label
        return Batch(
            torch.from_numpy(images).to(self._device),
            torch.from_numpy(labels).to(self._device),
            torch.from_numpy(sizes).to(self._device),
        )


def _fitting(image: RGBImage, label: ClassMap, canvas_hw: tuple[int, int]) -> tuple[RGBImage, ClassMap]:
    """The same, shrunk where it is larger than the canvas."""
    height, width = label.shape
    factor = min(canvas_hw[0] / height, canvas_hw[1] / width)
    if factor >= 1:
        return image, label
    size = (max(1, int(width * factor)), max(1, int(height * factor)))
    shrunk = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return shrunk.astype(np.uint8), cv2.resize(label, size, interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8)


def _ahead(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """`map` in threads, in order, a few items ahead of the consumer."""
    with ThreadPoolExecutor(workers) as pool:
        under_way: deque[Future[R]] = deque()
        try:
            for item in items:
                under_way.append(pool.submit(work, item))
                if len(under_way) > 2 * workers:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
