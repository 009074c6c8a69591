from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from afformer import assets
from afformer.images import read_label
from tests.builders.cli import error_of, run, run_without


def test_evaluate_measures_against_labels(labelled: tuple[Path, Path]) -> None:
    images, labels = labelled
    result = run("evaluate", assets.MODEL, "--images", images, "--labels", labels, "--json")
    measured = json.loads(result.stdout)
    assert measured["pictures"] == 2
    assert measured["pixel_accuracy"] == measured["miou"] == 1.0
    assert run("evaluate", assets.MODEL, "--images", images, "--labels", labels).output.startswith("class")


def test_pictures_that_cannot_be_used_are_named_and_the_rest_is_measured(labelled: tuple[Path, Path]) -> None:
    images, labels = labelled
    broken = sorted(images.iterdir())[0]
    broken.write_bytes(b"")
    result = run("evaluate", assets.MODEL, "--images", images, "--labels", labels, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["pictures"] == 1
    first, last = result.stderr.splitlines()
    assert broken.name in first
    assert last == "Error: 1 picture could not be used"


def test_a_backend_that_does_not_exist_is_named(labelled: tuple[Path, Path]) -> None:
    images, labels = labelled
    wrong = run("evaluate", assets.MODEL, "--images", images, "--labels", labels, "--backend", "nonsense")
    assert "unknown backend 'nonsense'" in error_of(wrong)


def test_labels_that_count_from_one_are_noticed_and_read_with_an_offset(labelled: tuple[Path, Path]) -> None:
    images, labels = labelled
    for path in labels.iterdir():
        ids = read_label(path)
        cv2.imwrite(str(path), np.where(ids == 255, 255, ids + 1).astype(np.uint8))
    shifted = run("evaluate", assets.MODEL, "--images", images, "--labels", labels)
    assert "but would be 100.0 with --label-offset -1." in shifted.stdout
    right = run("evaluate", assets.MODEL, "--images", images, "--labels", labels, "--label-offset", -1, "--json")
    assert json.loads(right.stdout)["miou"] == 1.0


def test_ids_that_mean_no_class_are_answered_with_the_options_that_say_what_they_mean(
    labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    images, labels = labelled
    for path in labels.iterdir():
        ids = read_label(path)
        cv2.imwrite(str(path), np.where(ids == 3, 77, ids).astype(np.uint8))
    wrong = run("evaluate", assets.MODEL, "--images", images, "--labels", labels)
    assert wrong.exit_code == 1
    assert "holds the id 77" in wrong.stderr
    assert "--label-offset, --label-map or --ignore-label" in wrong.stderr
    (tmp_path / "map").write_text("\n".join(f"{77 if i == 3 else i} {i}" for i in range(11)))
    right = run(
        "evaluate", assets.MODEL, "--images", images, "--labels", labels, "--label-map", tmp_path / "map", "--json"
    )
    assert json.loads(right.stdout)["miou"] == 1.0
    rest = run("evaluate", assets.MODEL, "--images", images, "--labels", labels, "--ignore-label", 77, "--json")
    assert rest.exit_code == 0
    assert json.loads(rest.stdout)["per_class_iou"]["Road"] is None


def test_a_report_is_written_beside_the_figures_and_needs_a_package_of_its_own(
    labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    folders = ("--images", labelled[0], "--labels", labelled[1])
    page = tmp_path / "report.html"
    assert run("evaluate", assets.MODEL, *folders, "--html", page).stdout.startswith("class")
    assert page.read_text().count("% right") == 2
    page.unlink()
    missing = run_without(("jinja2",), "evaluate", assets.MODEL, *folders, "--html", page)
    assert missing.returncode == 1
    assert "'jinja2', which is not installed" in missing.stderr
    assert 'pip install "afformer[report]"' in missing.stderr
    assert not page.exists()
