"""`afformer-cli infer`: how overlays look."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from afformer import Segmenter, assets
from afformer.images import read_image, read_label
from afformer.runtime.choices import Colours
from afformer.runtime.render import Renderer
from tests.builders.cli import error_of, run
from tests.builders.regions import from_rle

PICTURE = assets.pictures()[0]


@pytest.mark.parametrize("colours", Colours)
def test_overlays_have_the_colours_that_are_asked_for_and_masks_the_palette(tmp_path: Path, colours: Colours) -> None:
    result = run(
        "infer", assets.MODEL, PICTURE, "-o", tmp_path, "--colors", colours.value, "--opacity", 1, "--no-names"
    )
    assert result.exit_code == 0, result.output
    with Segmenter(assets.MODEL) as segment:
        classmap, spec = segment(PICTURE), segment.spec
    overlay = read_image(tmp_path / f"{PICTURE.stem}_overlay.png")
    expected = np.array(Renderer(spec.classes, spec.palette, colours=colours).colours)[classmap]
    assert (overlay == expected).all(axis=2).mean() > 0.9  # the rest are lines
    assert (read_label(tmp_path / f"{PICTURE.stem}_mask.png") == classmap).all()
    shown = read_image(tmp_path / f"{PICTURE.stem}_mask.png")
    assert (shown == np.array(spec.palette)[classmap]).all()


def test_names_and_lines_can_be_left_out(tmp_path: Path) -> None:
    looks = {"all": [], "no lines": ["--no-outlines"], "no names": ["--no-names"]}
    drawn = []
    for name, options in looks.items():
        assert run("infer", assets.MODEL, PICTURE, "-o", tmp_path / name, "--write", "overlay", *options).exit_code == 0
        drawn.append(read_image(tmp_path / name / f"{PICTURE.stem}_overlay.png"))
    everything, no_lines, no_names = drawn
    assert 0.005 < (everything != no_names).any(axis=2).mean() < 0.05
    assert 0.005 < (everything != no_lines).any(axis=2).mean() < 0.2


def test_colors_that_do_not_exist_are_refused_with_the_choices(tmp_path: Path) -> None:
    result = run("infer", assets.MODEL, PICTURE, "-o", tmp_path / "out", "--colors", "rainbow")
    assert result.exit_code == 2
    assert "'auto', 'dataset', 'colorblind'" in result.stderr
    assert not (tmp_path / "out").exists()


def test_json_tells_where_each_class_is(tmp_path: Path) -> None:
    command = ("infer", assets.MODEL, PICTURE, "-o", tmp_path)
    assert run(*command, "--write", "json,npy,jsonl", "--regions", "rle").exit_code == 0
    classmap = np.load(next(tmp_path.glob("*.npy")))
    for file in (next(tmp_path.glob("*.json")), next(tmp_path.glob("*.jsonl"))):
        for entry in json.loads(file.read_text())["classes"]:
            np.testing.assert_array_equal(from_rle(entry["rle"]), classmap == entry["id"])


def test_regions_without_json_to_hold_them_are_refused(tmp_path: Path) -> None:
    refused = run("infer", assets.MODEL, PICTURE, "-o", tmp_path / "out", "--regions", "polygons")
    assert "--regions is polygons, but no JSON is written" in error_of(refused)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--legend", "--opacity=0.9", "--no-outlines", "--no-names", "--colors=dataset"])
def test_looks_without_an_overlay_to_have_them_are_refused(tmp_path: Path, option: str) -> None:
    refused = run("infer", assets.MODEL, PICTURE, "-o", tmp_path / "out", "--write", "mask", option)
    assert f"{option.partition('=')[0].replace('no-', '')}" in error_of(refused)
    assert "about overlays, but none is written" in error_of(refused)
    assert not (tmp_path / "out").exists()
