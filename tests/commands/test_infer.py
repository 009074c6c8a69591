from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afformer import assets
from afformer.images import read_image, read_label
from tests.builders.cli import STREET, error_of, run
from tests.builders.videos import write_clip


def test_infer_writes_what_was_asked_for_at_the_size_of_the_picture(tmp_path: Path) -> None:
    kinds = [option for kind in ("overlay", "mask", "side-by-side", "npy", "json") for option in ("--write", kind)]
    result = run("infer", assets.MODEL, STREET, "-o", tmp_path / "out", *kinds)
    assert result.exit_code == 0
    stem = tmp_path / "out" / STREET.stem
    mask = read_label(Path(f"{stem}_mask.png"))
    assert mask.shape == read_image(STREET).shape[:2] == read_image(Path(f"{stem}_overlay.png")).shape[:2]
    np.testing.assert_array_equal(mask, np.load(f"{stem}_classmap.npy"))
    report = json.loads(Path(f"{stem}_classes.json").read_text())
    assert {entry["name"] for entry in report["classes"][:3]} == {"Road", "Car", "Building"}
    assert sum(entry["share"] for entry in report["classes"]) == pytest.approx(1.0)
    with Image.open(f"{stem}_mask.png") as opened:
        assert opened.mode == "P"
    assert result.output.splitlines()[-1].startswith("1 picture on ONNX Runtime")


@pytest.mark.parametrize("fit", ["stretch", "pad", "slide"])
def test_infer_fits_pictures_in_every_way(tmp_path: Path, fit: str) -> None:
    result = run("infer", assets.MODEL, STREET, "-o", tmp_path, "--fit", fit, "--json")
    report = json.loads(result.stdout)["pictures"][0]
    assert (report["height"], report["width"]) == read_image(STREET).shape[:2]
    shares = {entry["name"]: entry["share"] for entry in report["classes"]}
    assert shares["Road"] > 0.25
    assert shares["Car"] > 0.15


def test_one_unreadable_picture_is_reported_and_does_not_stop_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a_broken.jpg").write_bytes(STREET.read_bytes()[:3000])
    (folder / "b_empty.png").touch()
    (folder / "c_good.jpg").write_bytes(STREET.read_bytes())
    result = run("infer", assets.MODEL, folder, "-o", tmp_path / "out", "--write", "mask")
    assert result.exit_code == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["c_good_mask.png"]
    errors = result.stderr.splitlines()
    assert len(errors) == 3
    assert "a_broken.jpg" in errors[0]
    assert "b_empty.png" in errors[1]
    assert errors[2] == "Error: 2 pictures could not be used"


@pytest.mark.parametrize(
    ("mode", "change"),
    [
        ("L", None),
        ("LA", None),
        ("RGBA", None),
        ("I;16", None),
        ("CMYK", None),
        ("P", None),
        ("1", None),
        ("RGB", "exif"),
        ("RGB", "1x1"),
    ],
)
def test_pictures_of_every_kind_are_segmented_at_their_size(tmp_path: Path, mode: str, change: str | None) -> None:
    path = tmp_path / ("in.jpg" if mode == "CMYK" or change == "exif" else "in.png")
    with Image.open(STREET) as street:
        picture = street.resize((1, 1) if change == "1x1" else (120, 70))
    if mode == "I;16":
        Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257).save(path)
    elif change == "exif":
        exif = Image.Exif()
        exif[0x0112] = 6  # turned by a quarter
        picture.save(path, exif=exif)
    else:
        picture.convert(mode).save(path)
    result = run("infer", assets.MODEL, path, "-o", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)["pictures"][0]
    expected = {"1x1": (1, 1), "exif": (70, 120)}.get(change or "", (120, 70))
    assert (report["width"], report["height"]) == expected


def test_broken_inputs_are_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "cut.onnx").write_bytes(assets.MODEL.read_bytes()[:100_000])
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    out = tmp_path / "out"
    assert "ONNX model" in error_of(run("infer", tmp_path / "text.onnx", STREET, "-o", out))
    assert "cut.onnx" in error_of(run("infer", tmp_path / "cut.onnx", STREET, "-o", out))
    assert "holds no pictures" in error_of(run("infer", assets.MODEL, tmp_path / "empty", "-o", out))
    assert "no such file" in error_of(run("infer", assets.MODEL, tmp_path / "none.jpg", "-o", out))
    assert "file: cannot be created as a folder" in error_of(
        run("infer", assets.MODEL, STREET, "-o", tmp_path / "file")
    )
    assert "cuda" in error_of(run("infer", assets.MODEL, STREET, "-o", out, "--device", "cuda"))


@pytest.mark.parametrize("failure", [errno.ENOSPC, errno.EACCES])
def test_full_or_protected_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: int
) -> None:
    def fail(path: Path, data: bytes) -> int:
        path.touch()
        raise OSError(failure, os.strerror(failure))

    monkeypatch.setattr(Path, "write_bytes", fail)
    error = error_of(run("infer", assets.MODEL, STREET, "-o", tmp_path))
    assert f"cannot be written ({os.strerror(failure)})" in error
    assert list(tmp_path.iterdir()) == []


def test_without_a_model_the_bundled_one_is_taken_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("infer", STREET)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("model: tiny-camvid, which is bundled")
    written = {path.name for path in (tmp_path / "afformer-output").iterdir()}
    assert written == {f"{STREET.stem}_overlay.png", f"{STREET.stem}_mask.png"}


def test_a_backend_alone_runs_the_bundled_model_and_one_that_is_not_known_is_told(tmp_path: Path) -> None:
    done = run("infer", STREET, "--backend", "onnxruntime", "-o", tmp_path)
    assert (done.exit_code, done.stderr.startswith("model: tiny-camvid")) == (0, True)
    for name, meant in (("onnx", "onnxruntime"), ("trt", "tensorrt"), ("torch", "pytorch")):
        assert f"did you mean {meant}?" in error_of(run("infer", STREET, "--backend", name))


def test_a_rate_for_no_video_is_refused_with_the_flag(tmp_path: Path) -> None:
    refused = error_of(run("infer", assets.MODEL, STREET, "--fps", "3", "-o", tmp_path))
    assert "--fps is 3, but no video is written; ask for --write video" in refused


def test_the_bundled_model_has_a_name_unless_a_file_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert json.loads(run("inspect", "tiny-camvid", "--json").stdout)["path"] == str(assets.MODEL)
    Path("tiny-camvid").write_text("something else")
    assert "no backend opens" in error_of(run("inspect", "tiny-camvid"))


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["street.jpg", "m.onnx"], "the model comes first: afformer-cli infer m.onnx street.jpg"),
        (["m.onnx"], "name what to segment with m.onnx"),
        (["tiny-camvid"], "name what to segment with tiny-camvid"),
    ],
)
def test_arguments_in_the_wrong_order_are_told_the_right_one(arguments: list[str], hint: str) -> None:
    result = run("infer", *arguments)
    assert result.exit_code == 2
    assert hint in result.stderr


@pytest.mark.parametrize(
    ("name", "options"),
    [("a/b/out.png", []), ("out.jpg", []), ("mask.png", ["--write", "mask"]), ("ids.npy", ["--write", "npy"])],
)
def test_one_picture_goes_into_the_file_that_is_named(tmp_path: Path, name: str, options: list[str]) -> None:
    result = run("infer", assets.MODEL, STREET, "-o", tmp_path / name, *options)
    assert result.exit_code == 0, result.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]


@pytest.mark.parametrize(
    ("sources", "options", "many"),
    [
        (assets.pictures(), [], "2 frames"),
        ([STREET], ["--write", "overlay,mask"], "2 files"),
    ],
)
def test_a_file_cannot_hold_several_results(tmp_path: Path, sources: list[Path], options: list[str], many: str) -> None:
    error = error_of(run("infer", assets.MODEL, *sources, "-o", tmp_path / "out.png", *options))
    assert f"out.png: is one file, but there are {many} to write; name a folder" in error
    assert list(tmp_path.iterdir()) == []


def test_outputs_are_named_with_commas_or_one_by_one(tmp_path: Path) -> None:
    run("infer", assets.MODEL, STREET, "-o", tmp_path, "--write", "overlay, mask", "--write", "json")
    assert {path.name.removeprefix(STREET.stem) for path in tmp_path.iterdir()} == {
        "_overlay.png",
        "_mask.png",
        "_classes.json",
    }
    result = run("infer", assets.MODEL, STREET, "-o", tmp_path, "--write", "overlay,nonsense")
    assert result.exit_code == 2
    assert "'nonsense' is not one of" in result.stderr


def test_frames_are_not_called_pictures(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 3)
    result = run("infer", assets.MODEL, clip, "-o", tmp_path / "out.mp4")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[0] == str(tmp_path / "out.mp4")
    assert result.stdout.splitlines()[-1].startswith("3 frames on")
