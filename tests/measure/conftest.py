from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.builders.videos import by_brightness, street


@pytest.fixture
def pairs(tmp_path: Path) -> list[tuple[Path, Path]]:
    """Two pictures of 4x2 pixels: one half road and half car, one all road; sky occurs nowhere."""
    truths = [np.array([[0, 0, 1, 1], [0, 0, 1, 255]], np.uint8), np.zeros((2, 4), np.uint8)]
    found = []
    for index, truth in enumerate(truths):
        picture, label = tmp_path / f"{index}.png", tmp_path / f"{index}_label.png"
        red = np.where(truth == 255, 100, truth * 50).astype(np.uint8)
        cv2.imwrite(str(picture), np.dstack([red * 0, red * 0, red]))
        cv2.imwrite(str(label), truth)
        found.append((picture, label))
    return found


@pytest.fixture
def greys(tmp_path: Path) -> list[tuple[Path, Path]]:
    """Ten pictures labelled by their brightness, as the tiny model sees it; the fifth cannot be read."""
    pairs = [(tmp_path / f"grey_{i}.png", tmp_path / f"grey_{i}_label.png") for i in range(10)]
    for (picture, label), image in zip(pairs, street(10), strict=True):
        cv2.imwrite(str(picture), image)
        cv2.imwrite(str(label), by_brightness(image))
    pairs[4][0].write_bytes(b"broken")
    return pairs
