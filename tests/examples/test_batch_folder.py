from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from afformer import Segmenter, assets
from afformer.images import read_label
from tests.builders.cli import STREET
from tests.builders.example_programs import run_program


def test_a_folder_becomes_masks_and_a_table_and_a_broken_picture_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "masks"
    (photos / "deep").mkdir(parents=True)
    shutil.copy(STREET, photos / "deep" / "street.JPG")
    (photos / "broken.png").write_bytes(b"nothing")
    (photos / "notes.txt").write_text("not a picture")
    with pytest.raises(SystemExit, match="1 pictures could not be segmented"):
        run_program(monkeypatch, "batch_folder.py", assets.NAME, photos, "-o", out, "--workers", 2)
    with (out / "shares.csv").open(newline="") as file:
        broken, street = csv.DictReader(file)
    assert "broken.png" in broken["error"]
    with Segmenter(assets.MODEL) as segment:
        classmap, classes = segment(STREET), segment.spec.classes
    assert (read_label(out / "deep" / "street.JPG.png") == classmap).all()
    assert [float(street[name]) for name in classes] == pytest.approx(
        np.bincount(classmap.ravel(), minlength=len(classes)) / classmap.size, abs=1e-4
    )


def test_a_folder_without_pictures_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="has no pictures"):
        run_program(monkeypatch, "batch_folder.py", assets.NAME, tmp_path, "-o", tmp_path / "masks")
