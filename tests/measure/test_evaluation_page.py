from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from afformer import datasets
from afformer.errors import OutputError
from afformer.images import write_image
from afformer.measure.evaluation import evaluate_model
from tests.builders.pages import assert_loads_nothing, assert_well_formed, text_of
from tests.builders.tiny_onnx import SPEC, write_tiny_onnx

CLASSES = datasets.custom(("<b>night</b>", "dusk & dawn", "noon", "day"), SPEC.palette)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_onnx(tmp_path / "model.onnx", dataclasses.replace(SPEC, classes=CLASSES.classes))


@pytest.fixture
def folders(greys: list[tuple[Path, Path]], tmp_path: Path) -> tuple[Path, Path]:
    """The pictures and their labels in folders of their own, under the same names."""
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir()
    labels.mkdir()
    for picture, label in greys:
        picture.rename(images / picture.name)
        label.rename(labels / picture.name)
    return images, labels


def test_the_page_shows_figures_matrix_and_the_best_and_worst_pictures(
    model: Path, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    page = tmp_path / "new" / "report.html"
    found = evaluate_model(model, *folders, html=page)
    text = page.read_text(encoding="utf-8")
    assert_well_formed(text)
    assert_loads_nothing(text)
    shown = text_of(text)
    assert f"mIoU {100 * found.miou:.2f}" in shown
    assert "&lt;b&gt;night&lt;/b&gt;" in shown
    assert "<b>" not in text
    headings = re.findall(r"(grey_\d\.png), ([\d.]+)% right", shown)
    shares = [float(share) for _, share in headings]
    worst, best = shares[:5], shares[5:]
    assert worst == sorted(worst)
    assert best == sorted(best, reverse=True)
    assert max(worst) <= min(best)
    assert np.isclose(np.mean(shares), 100 * found.pixel_accuracy, atol=0.01)  # all pictures have one size
    assert "grey_4.png" in shown.partition("Left out")[2]


def test_classes_that_occur_nowhere_are_folded_away(model: Path, tmp_path: Path) -> None:
    for folder, name in (("images", "dark.png"), ("labels", "dark.png")):
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / name, np.zeros((64, 64, 3), np.uint8))
    page = tmp_path / "report.html"
    found = evaluate_model(model, tmp_path / "images", tmp_path / "labels", html=page)
    assert [name for name, share in found.per_class_iou.items() if not np.isnan(share)] == ["<b>night</b>"]
    shown = text_of(page.read_text(encoding="utf-8"))
    assert "3 more occur neither in the labels nor in the answers dusk &amp; dawn, noon, day" in shown


def test_a_page_that_could_replace_a_model_or_a_picture_is_refused_before_anything_is_measured(
    model: Path, folders: tuple[Path, Path]
) -> None:
    told: list[object] = []
    linked = model.with_suffix(".html")
    linked.symlink_to(model)
    for path, message in ((linked, "is the input"), (folders[0] / "grey_0.png", "name the file .html")):
        with pytest.raises(OutputError, match=message):
            evaluate_model(model, *folders, html=path, progress=lambda *what: told.append(what))
    assert told == []


def test_pictures_of_which_none_can_be_used_make_a_page_all_the_same(
    model: Path, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    for picture in folders[0].iterdir():
        picture.write_bytes(b"broken")
    page = tmp_path / "report.html"
    evaluate_model(model, *folders, html=page)
    text = page.read_text(encoding="utf-8")
    assert_well_formed(text)
    assert "10 left out" in text_of(text)
    assert "<img" not in text
