from __future__ import annotations

import json
from pathlib import Path

from afformer import assets
from tests.builders.cli import error_of, run


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
