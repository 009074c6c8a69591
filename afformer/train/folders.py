"""Finds the pictures and labels of a data set's training and validation split."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from afformer.datasets import Dataset, pairs
from afformer.errors import AfformerError

Pair = tuple[Path, Path]
"""A picture and its label."""

HELD_OUT = 10
"""Without a split, one picture in this many is for validation: the last ones by name."""

_LAYOUTS = (
    ("train/images", "train/labels", "val/images", "val/labels"),
    ("images/train", "labels/train", "images/val", "labels/val"),
    ("leftImg8bit/train", "gtFine/train", "leftImg8bit/val", "gtFine/val"),
    ("images/training", "annotations/training", "images/validation", "annotations/validation"),
    ("images/train2017", "annotations/train2017", "images/val2017", "annotations/val2017"),
)
"""Folders of training pictures and labels, validation pictures and labels; Cityscapes, ADE20K and COCO-Stuff as they
are unpacked among them."""


@dataclasses.dataclass(frozen=True)
class Splits:
    """What a network learns from, and what it is validated on."""

    train: list[Pair]
    val: list[Pair]


def splits(dataset: Dataset, folder: Path) -> Splits:
    """Finds both splits under `folder`.

    Without folders for a split, the last tenth by name of `images` and `labels` is held out: neighbours in a video look
    alike, so pictures between those that are learnt from would prove nothing.

    Raises:
        AfformerError: There is no such folder, or none of the known layouts in it, or pictures and labels do not pair.
    """
    if not folder.is_dir():
        raise AfformerError(f"{folder}: there is no such folder; expected one with pictures and labels")
    for layout in _LAYOUTS:
        train_images, train_labels, val_images, val_labels = (folder / part for part in layout)
        if train_images.is_dir():
            return Splits(pairs(dataset, train_images, train_labels), pairs(dataset, val_images, val_labels))
    if not (folder / "images").is_dir():
        known = "; ".join(f"{layout[0]} with {layout[1]} and {layout[2]} with {layout[3]}" for layout in _LAYOUTS)
        raise AfformerError(f"{folder}: holds no pictures in a known place; expected images with labels; or {known}")
    found = pairs(dataset, folder / "images", folder / "labels")
    if len(found) < 2:
        raise AfformerError(f"{folder}: holds one picture, expected two at least, to learn from and to validate on")
    held_out = max(1, len(found) // HELD_OUT)
    return Splits(found[:-held_out], found[-held_out:])
