"""`afformer-cli train`, and the way from labels to an INT8 model as docs/train.md prints it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from afformer.cli import main
from afformer.images import read_image
from tests.builders.doc_blocks import for_a_test
from tests.builders.street_data import NAMES, NOTHING, write_names, write_streets

pytestmark = pytest.mark.usefixtures("one_thread")

DOCS = Path(__file__).parents[2] / "docs" / "train.md"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def printed_lines() -> list[str]:
    """The command lines of the worked example and of the sheet; the bundled model's need a GPU."""
    blocks = re.findall(r"```sh\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if "CAMVID" not in line]


@pytest.fixture
def streets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the documentation, under the working directory."""
    monkeypatch.chdir(tmp_path)
    write_streets(tmp_path / "streets", 24)
    write_names(tmp_path / "streets" / "classes.txt")
    return tmp_path


def test_the_documented_lines_lead_from_labels_to_an_int8_model_that_knows_its_classes(streets: Path) -> None:
    lines = printed_lines()
    assert [line.split()[1] for line in lines] == ["train", "export", "quantize", "evaluate", "infer", "train"]
    told = ""
    for line in lines:
        done = run(*for_a_test(shlex.split(line)[1:]))
        assert done.exit_code == 0, done.output
        told += done.stdout
    assert "wrote streets.int8.onnx, and all figures to streets.int8.report.html" in told
    spec = json.loads(run("inspect", "streets.int8.onnx", "--json").stdout)["spec"]
    assert (spec["classes"], spec["precision"]) == (["sky", "road", "car"], "int8")
    assert spec["palette"][1] == [0x80, 0x40, 0x80]
    labelled = ("--images", "streets/images", "--labels", "streets/labels", "--json")
    found = json.loads(run("evaluate", "streets.int8.onnx", *labelled).stdout)
    assert found["per_class_iou"]["sky"] > 0.7
    assert found["per_class_iou"]["road"] > 0.5
    assert len(list((streets / "out").glob("*overlay*"))) == 24
    assert read_image(streets / "sheet.jpg").shape[:2] == (4 * 68, 4 * 100)
    assert not [path for path in streets.iterdir() if path.name.startswith(".")]


def test_a_run_says_what_it_found_and_what_comes_next(streets: Path) -> None:
    quick = ("--crop", "64x64", "--batch", 2, "--epochs", 0.2, "--checks", 1)
    told = run("train", "streets", "--names", "streets/classes.txt", "-o", "a.pth", *quick)
    assert re.search(r"epoch 0\.\d+  loss [\d.]+  val mIoU [\d.]+  pixel accuracy [\d.]+", told.stdout)
    assert "next: afformer-cli export a.pth -o a.onnx --size HEIGHTxWIDTH" in told.stdout
    report = json.loads(
        run("train", "streets", "--names", "streets/classes.txt", "-o", "a.pth", *quick, "--json").stdout
    )
    assert report["pictures"] == 22
    assert set(report["checks"][0]["per_class_iou"]) == {name.split(" #")[0] for name in NAMES}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--names", "streets/classes.txt"), "name the checkpoint to write with -o, or a picture with --sheet"),
        (("-o", "a.pth"), "say what the labels mean"),
        (("-o", "a.pth", "--names", "streets/classes.txt", "--dataset", "camvid"), "say what the labels mean"),
    ],
)
def test_a_command_line_that_does_not_say_enough_is_refused(
    streets: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    done = run("train", "streets", *arguments)
    assert done.exit_code == 2
    assert complaint in done.stderr


def test_labels_that_do_not_fit_the_names_are_one_line(streets: Path) -> None:
    (streets / "two.txt").write_text("sky\nroad\n")
    done = run("train", "streets", "--names", "two.txt", "-o", "a.pth")
    assert done.exit_code == 1
    assert "000.png: holds the id 2, but expected 0..1 for 2 classes" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (streets / "a.pth").exists()


def test_labels_that_count_from_one_are_shifted(streets: Path) -> None:
    for path in (streets / "streets" / "labels").iterdir():
        label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), np.where(label == NOTHING, 0, label + 1).astype(np.uint8))  # type: ignore[operator]
    quick = ("--names", "streets/classes.txt", "-o", "a.pth", "--crop", "64x64", "--epochs", 0.2, "--checks", 1)
    refused = run("train", "streets", *quick)
    assert refused.exit_code == 1
    assert "say what the ids mean with --label-offset" in refused.stderr
    assert run("train", "streets", *quick, "--label-offset", -1).exit_code == 0


def test_a_run_whose_labels_meant_something_else_is_not_taken_up(streets: Path) -> None:
    quick = ("--names", "streets/classes.txt", "-o", "a.pth", "--crop", "64x64", "--epochs", 0.2, "--checks", 1)
    assert run("train", "streets", *quick).exit_code == 0
    refused = run("train", "streets", *quick, "--ignore-label", 2)
    assert refused.exit_code == 1
    assert "a.resume: is of another run (labels " in refused.stderr


def test_crops_far_larger_than_the_pictures_are_warned_of(streets: Path) -> None:
    sheet = ("train", "streets", "--names", "streets/classes.txt", "--sheet", "sheet.png")
    assert run(*sheet).stderr == (
        "Warning: pictures and crops are 64x96 and 360x480: most of a crop would be grey; "
        "choose --crop near the pictures' size\n"
    )
    assert run(*sheet, "--crop", "64x96").stderr == ""
