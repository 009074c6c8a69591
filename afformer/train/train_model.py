"""Pictures with labels -> a trained checkpoint."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from afformer.datasets import Dataset
from afformer.errors import BackendError
from afformer.files import check_writable, sha256
from afformer.images import write_image
from afformer.runtime.choices import Device
from afformer.train.augmentation import Augmentation
from afformer.train.curve import Check
from afformer.train.folders import Pair, splits
from afformer.train.loss import SegmentationLoss, class_weights
from afformer.train.normalise import Normalise
from afformer.train.options import DEFAULT, TrainOptions
from afformer.train.order import Order
from afformer.train.pictures import Batch, Pictures
from afformer.train.run import UNWATCHED, Parts, Run, Watch
from afformer.train.saved import RunFiles
from afformer.train.sheet import sheet
from afformer.train.start import start
from afformer.train.trainer import Trainer

SHEET_PICTURES = 8
_SHEET_FROM = 64
"""Pictures that a sheet is drawn from at most, evenly spread: enough for the odds of pasting to be about right."""

_LEAST_FILLED = 0.5
"""Share of a crop that a picture should cover."""


@dataclasses.dataclass(frozen=True)
class TrainReport:
    """What a run came to.

    Attributes:
        checkpoint: The file with the averaged weights.
        curve: The plot beside it.
        origin: What the weights were at the start.
        pictures: Number of pictures that were learnt from.
        val_pictures: Number of pictures that were validated on.
        checks: What was found on the way, in order.
    """

    checkpoint: Path
    curve: Path
    origin: str
    pictures: int
    val_pictures: int
    checks: tuple[Check, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return {
            "checkpoint": str(self.checkpoint),
            "curve": str(self.curve),
            "origin": self.origin,
            "pictures": self.pictures,
            "val_pictures": self.val_pictures,
            "checks": [check.to_json() for check in self.checks],
        }


def train_model(
    data: Path, checkpoint: Path, dataset: Dataset, options: TrainOptions = DEFAULT, watch: Watch = UNWATCHED
) -> TrainReport:
    """Trains a network on `data`, or goes on where an earlier call with the same arguments was stopped.

    On the CPU a run that was stopped ends with the same weights, to the bit, as one that was not, if its budget is in
    epochs and the number of threads is the same.

    Args:
        data: Folder of pictures and labels in one of the layouts that `folders.splits` knows.
        checkpoint: `.pth` (float32) or `.safetensors` (float16 kernels) to write; what it takes to go on goes beside it
            as `.resume`, the curve of loss and mIoU as `.svg`.
        dataset: Class names, colours, and what the labels mean.
        options: What to train, for how long, and how.
        watch: Called as training goes on.

    Raises:
        AfformerError: The device is not there, a file cannot be read or written, or the loss is not finite any more.
    """
    device = _device(options.device)
    found = splits(dataset, data)
    files = RunFiles(checkpoint, _setting(options, dataset, len(found.train)))
    files.check(options.init)
    with _own_random_numbers(device, options.seed):
        begin = start(options, dataset.classes)
        pictures = _pictures(found.train, dataset, device, options, watch)
        normalise = Normalise(begin.mean, begin.std)
        trainer = Trainer(
            begin.network.to(device),
            augment=Augmentation(options.changes, options.crop_hw, dataset.classes, pictures.pixels),
            normalise=normalise,
            loss=SegmentationLoss(class_weights(pictures.pixels), options.dice),
            options=options,
            batch=_first_batch(pictures, options),
        )
        run = Run(Parts(trainer, pictures, found.val, dataset, normalise), options, files, watch)
        run.finish()
    return TrainReport(checkpoint, files.curve, begin.origin, len(found.train), len(found.val), tuple(run.checks))


def write_sheet(
    data: Path, picture: Path, dataset: Dataset, options: TrainOptions = DEFAULT, watch: Watch = UNWATCHED
) -> None:
    """Writes a picture of changed training pictures with their labels.

    Args:
        data: As for `train_model`.
        picture: Where to; the folder must exist.
        dataset: As for `train_model`.
        options: Crop, changes and seed; the budget is not used.
        watch: Called with the number of pictures read so far.

    Raises:
        AfformerError: The device is not there, or a file cannot be read or written.
    """
    device = _device(options.device)
    check_writable(picture)
    pairs = splits(dataset, data).train
    pairs = pairs[:: -(-len(pairs) // _SHEET_FROM)]
    options = dataclasses.replace(options, batch=SHEET_PICTURES)
    with _own_random_numbers(device, options.seed):
        pictures = _pictures(pairs, dataset, device, options, watch)
        augment = Augmentation(options.changes, options.crop_hw, dataset.classes, pictures.pixels).to(device)
        images, labels = augment(_first_batch(pictures, options))
    write_image(picture, sheet(images, labels, dataset.classes, dataset.palette))


def _device(wanted: Device) -> torch.device:
    if wanted is Device.CUDA and not torch.cuda.is_available():
        raise BackendError(
            "device cuda was asked for, but this PyTorch sees no CUDA device; choose `device=cpu` or another machine"
        )
    return torch.device(wanted.value)


def _pictures(
    pairs: Sequence[Pair], dataset: Dataset, device: torch.device, options: TrainOptions, watch: Watch
) -> Pictures:
    pictures = Pictures(
        pairs,
        dataset,
        device,
        memory_gb=options.memory_gb,
        workers=options.workers,
        seen=lambda done, total: watch.progress("reading", done, total),
    )
    if _filled(pictures.canvas_hw, options) < _LEAST_FILLED:
        sizes = " and ".join(f"{height}x{width}" for height, width in (pictures.canvas_hw, options.crop_hw))
        watch.warned(
            f"pictures and crops are {sizes}: most of a crop would be grey; choose `crop_hw` near the pictures' size"
        )
    return pictures


def _filled(picture_hw: tuple[int, int], options: TrainOptions) -> float:
    """The share of a crop that a picture covers at its usual scale."""
    scale = math.sqrt(math.prod(options.changes.scale))
    return math.prod(min(1, scale * size / crop) for size, crop in zip(picture_hw, options.crop_hw, strict=True))


def _first_batch(pictures: Pictures, options: TrainOptions) -> Batch:
    return next(pictures.batches(options.batch, Order(len(pictures), options.seed)))


@contextlib.contextmanager
def _own_random_numbers(device: torch.device, seed: int) -> Iterator[None]:
    """Seeds PyTorch's generators, and gives them back as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _setting(options: TrainOptions, dataset: Dataset, pictures: int) -> dict[str, str]:
    """What decides the outcome, in words; the meaning of labels' ids as a digest."""
    outcome = dataclasses.asdict(options)
    for name in ("stop_after", "workers", "memory_gb"):
        del outcome[name]
    outcome["device"] = options.device.value
    if options.init:
        outcome["init"] = sha256(options.init)
    return {name: str(value) for name, value in outcome.items()} | {
        "classes": ", ".join(dataset.classes),
        "labels": hashlib.sha256(repr(dataset.labels).encode()).hexdigest()[:8],  # the ids of 150 classes fill a screen
        "pictures": str(pictures),
    }
