from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from afformer import assets
from afformer.images import read_label
from tests.builders.cli import run


@pytest.fixture
def labelled(tmp_path: Path) -> tuple[Path, Path]:
    """Two small street pictures, labelled with what the bundled model sees in them, and a strip left out."""
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir()
    for path in assets.pictures():
        picture = cv2.resize(np.asarray(cv2.imread(str(path))), (480, 360))
        cv2.imwrite(str(images / f"{path.stem}.png"), picture)
    assert run("infer", assets.MODEL, images, "-o", labels, "--write", "mask").exit_code == 0
    for mask in labels.iterdir():
        truth = read_label(mask)
        truth[:20] = 255
        cv2.imwrite(str(labels / mask.name.replace("_mask", "")), truth)
        mask.unlink()
    return images, labels
