"""A toy data set in folders: a sky, a road, and a car somewhere on it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from afformer.images import ClassMap, RGBImage

NAMES = ("sky", "road #804080", "car")
"""The lines of its names file."""
SKY, ROAD, CAR, NOTHING = 0, 1, 2, 255


def street(rng: np.random.Generator, height: int = 64, width: int = 96) -> tuple[RGBImage, ClassMap]:
    """A picture and its label; the horizon, the car and the colours are random, and a row is not labelled."""
    horizon = int(rng.integers(height // 3, height // 2))
    label = np.full((height, width), SKY, np.uint8)
    label[horizon:] = ROAD
    top, left = int(rng.integers(horizon - 4, height - 20)), int(rng.integers(0, width - 30))
    label[top : top + 16, left : left + 28] = CAR
    colours = np.array([(120, 170, 230), (90, 90, 95), rng.integers(0, 256, 3)], np.float64)[label]
    image = np.clip(colours + rng.normal(0, 8, colours.shape), 0, 255).astype(np.uint8)
    label[-1] = NOTHING
    return image, label


def write_streets(folder: Path, count: int, *, height: int = 64, width: int = 96, seed: int = 0) -> None:
    """Writes `images/000.png`, `labels/000.png` and so on; pictures of a later number do not depend on `count`."""
    rng = np.random.default_rng(seed)
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for index in range(count):
        image, label = street(rng, height, width)
        cv2.imwrite(str(folder / "images" / f"{index:03d}.png"), image[:, :, ::-1])
        cv2.imwrite(str(folder / "labels" / f"{index:03d}.png"), label)


def write_names(path: Path) -> Path:
    """Writes the names file."""
    path.write_text("\n".join(NAMES) + "\n")
    return path
