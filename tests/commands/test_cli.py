from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from afformer import assets
from afformer.cli import main
from afformer.images import read_image, read_label

STREET = next(path for path in assets.pictures() if "taxis" in path.name)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def error_of(result: Result) -> str:
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Error: ")
    return lines[0]


@pytest.fixture
def labelled(tmp_path: Path) -> tuple[Path, Path]:
    """Two small street pictures, labelled with what the bundled model sees in them, and a strip left out."""
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir()
    for path in assets.pictures():
        picture = cv2.resize(cv2.imread(str(path)), (480, 360))
        cv2.imwrite(str(images / f"{path.stem}.png"), picture)
    assert run("infer", assets.MODEL, images, "-o", labels, "--write", "mask").exit_code == 0
    for mask in labels.iterdir():
        truth = read_label(mask)
        truth[:20] = 255
        cv2.imwrite(str(labels / mask.name.replace("_mask", "")), truth)
        mask.unlink()
    return images, labels


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["infer", "--help"], ["export", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from afformer.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as stop: assert not stop.code\n"
        "heavy = {'numpy', 'cv2', 'torch', 'onnx', 'onnxruntime', 'tqdm'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_commands_work_without_torch_and_onnx(tmp_path: Path, labelled: tuple[Path, Path]) -> None:
    images, labels = labelled
    blocked = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['torch', 'onnx', 'onnxscript', 'onnxsim', 'safetensors']))\n"
        "from afformer.cli import main\n"
        "main(sys.argv[1:])"
    )
    for arguments in (
        ["infer", assets.MODEL, STREET, "-o", tmp_path / "out"],
        ["inspect", assets.MODEL],
        ["evaluate", assets.MODEL, "--images", images, "--labels", labels],
        ["compare", assets.MODEL, assets.MODEL, "--images", images],
    ):
        done = subprocess.run(
            [sys.executable, "-c", blocked, *map(str, arguments)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_export_without_torch_names_the_extra_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from afformer.cli import main\n"
        f"main(['export', {str(assets.CHECKPOINT)!r}, '-o', {str(tmp_path / 'm.onnx')!r}, '--size', '64x64'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'pip install "afformer[export]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


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


def test_evaluate_measures_against_labels(labelled: tuple[Path, Path]) -> None:
    images, labels = labelled
    result = run("evaluate", assets.MODEL, "--images", images, "--labels", labels, "--json")
    measured = json.loads(result.stdout)
    assert measured["pictures"] == 2
    assert measured["pixel_accuracy"] == measured["miou"] == 1.0
    assert run("evaluate", assets.MODEL, "--images", images, "--labels", labels).output.startswith("class")


def test_compare_takes_the_first_model_for_the_truth(labelled: tuple[Path, Path]) -> None:
    result = run("compare", assets.CHECKPOINT, assets.MODEL, "--images", labelled[0], "--json")
    assert 0.998 < json.loads(result.stdout)["pixel_agreement"] <= 1


def test_export_then_inspect_and_infer(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    result = run(
        "export", assets.CHECKPOINT, "-o", model, "--size", "96x128", "--input", "uint8", "--output", "classmap"
    )
    assert result.exit_code == 0, result.stderr
    assert result.output.splitlines()[-1] == f"next: afformer-cli infer {model} PICTURE -o DIR"
    facts = json.loads(run("inspect", model, "--json").stdout)
    assert facts["tensors"]["input"] == {"name": "image", "dtype": "uint8", "shape": [1, 96, 128, 3]}
    assert facts["tensors"]["output"] == {"name": "classmap", "dtype": "uint8", "shape": [1, 96, 128]}
    assert "Pedestrian" in run("inspect", model).output
    assert run("infer", model, STREET, "-o", tmp_path / "out").exit_code == 0
    small = cv2.resize(cv2.imread(str(STREET)), (128, 96))
    cv2.imwrite(str(tmp_path / "small.png"), small)
    agreement = run("compare", assets.CHECKPOINT, model, "--images", tmp_path / "small.png", "--json")
    assert json.loads(agreement.stdout)["pixel_agreement"] > 0.9995  # the checkpoint is run at 96x128, too
    assert "is a model for 96x128 only" in error_of(run("infer", model, STREET, "-o", tmp_path, "--size", "64x64"))
    assert "--output logits" in error_of(run("infer", model, STREET, "-o", tmp_path, "--fit", "slide"))


def test_demo_without_torch_says_so_and_writes_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = run("demo", "-o", tmp_path / "demo")
    assert result.exit_code == 0
    assert result.output.startswith("PyTorch and ONNX are not installed")
    assert len(list((tmp_path / "demo").glob("*.png"))) == 3 * len(assets.pictures())


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
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "zero.onnx").touch()
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "cut.onnx").write_bytes(assets.MODEL.read_bytes()[:100_000])
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    out = tmp_path / "out"
    assert "is not an ONNX model" in error_of(run("infer", tmp_path / "text.onnx", STREET, "-o", out))
    assert "cut.onnx" in error_of(run("infer", tmp_path / "cut.onnx", STREET, "-o", out))
    assert "zero.onnx" in error_of(run("inspect", tmp_path / "zero.onnx"))
    assert "no such model file" in error_of(run("inspect", tmp_path / "none.onnx"))
    assert "no backend opens '.txt'" in error_of(run("inspect", tmp_path / "model.txt"))
    assert "holds no pictures" in error_of(run("infer", assets.MODEL, tmp_path / "empty", "-o", out))
    assert "no such file" in error_of(run("infer", assets.MODEL, tmp_path / "none.jpg", "-o", out))
    assert "cannot be created as a folder" in error_of(run("infer", assets.MODEL, STREET, "-o", tmp_path / "file"))
    assert "cuda" in error_of(run("infer", assets.MODEL, STREET, "-o", out, "--device", "cuda"))
    assert "name the file .onnx" in error_of(
        run("export", assets.CHECKPOINT, "-o", tmp_path / "m.bin", "--size", "64x64")
    )
    assert "must be at least 64" in error_of(
        run("export", assets.CHECKPOINT, "-o", tmp_path / "m.onnx", "--size", "32x64")
    )
    assert "no such checkpoint" in error_of(
        run("export", tmp_path / "no.pth", "-o", tmp_path / "m.onnx", "--size", "64x64")
    )
    assert "cannot be written" in error_of(
        run("export", assets.CHECKPOINT, "-o", tmp_path / "no" / "m.onnx", "--size", "64x64")
    )
    assert not (tmp_path / "m.onnx").exists()


def test_model_without_our_metadata_says_how_to_get_it(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(assets.MODEL)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    assert "afformer-cli export" in error_of(run("inspect", tmp_path / "bare.onnx"))


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


@pytest.mark.parametrize("size", ["12", "axb", "64x", "-64x64", "64 x 64"])
def test_sizes_that_are_none_are_usage_errors(size: str) -> None:
    result = run("export", "a.pth", "-o", "b.onnx", "--size", size)
    assert result.exit_code == 2
    assert "360x480" in result.stderr


def test_benchmark_shows_speed_memory_size_and_accuracy_in_one_table(labelled: tuple[Path, Path]) -> None:
    images, labels = labelled
    arguments = ("benchmark", assets.MODEL, "--threads", "1,2", "--calls", "5", "--profile", "--image", STREET)
    told = run(*arguments, "--images", images, "--labels", labels)
    assert told.exit_code == 0
    rows = [line.split() for line in told.stdout.splitlines() if line.startswith(f"{assets.MODEL.name} ")]
    assert [row[3] for row in rows] == ["1", "2"]
    assert [row[-1] for row in rows] == ["100.00", "100.00"]
    assert "dearest operators" in told.stdout
    assert STREET.name in told.stdout


def test_benchmark_json_has_a_row_for_each_model_and_engine() -> None:
    result = run("benchmark", assets.MODEL, assets.MODEL, "--backend", "onnxruntime", "--calls", "1", "--json")
    report = json.loads(result.stdout)
    assert [row["backend"] for row in report["rows"]] == ["onnxruntime"] * 2
    assert report["rows"][0]["ratio"] == [1, 1, 1]
    assert report["machine"]["cpu"]


def test_benchmark_refuses_what_it_cannot_measure(tmp_path: Path) -> None:
    assert "nowhere.onnx" in error_of(run("benchmark", tmp_path / "nowhere.onnx", "--calls", "1"))
    assert "unknown backend 'nonsense'" in error_of(run("benchmark", assets.MODEL, "--backend", "nonsense"))
    assert "for 360x480 only" in error_of(run("benchmark", assets.MODEL, "--size", "64x64"))
    for wrong in (("--threads", "1,x"), ("--threads", ""), ("--images", tmp_path), ("--calls", "0")):
        assert run("benchmark", assets.MODEL, *wrong).exit_code == 2
