from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result

from afformer import Segmenter, assets
from afformer.cli import main
from afformer.files import sha256
from afformer.images import read_image, write_image
from afformer.onnx_file import read_onnx_file, write_spec
from afformer.runtime import open_backend
from afformer.runtime.render import Renderer
from afformer.spec import ColorOrder, ModelSpec
from afformer.tensorrt.engine_info import EngineInfo, json_path
from afformer.tensorrt.gpu import Gpu
from afformer.tensorrt.packages import Library
from tests.builders.foreign_onnx import classes_of, write_foreign_onnx

PICTURE = assets.pictures()[0]


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    with open_backend(assets.MODEL) as backend:
        return backend.spec


@pytest.fixture
def engine(tmp_path: Path, spec: ModelSpec) -> Path:
    """A plan is not looked into, so any bytes will do."""
    plan = tmp_path / "street.engine"
    plan.write_bytes(b"plan")
    digest, gpu = sha256(plan), Gpu("Orin", (8, 7))
    beside = EngineInfo(spec, digest, Library.TENSORRT, "10.3.0", "12.6", gpu, "street.onnx", "1" * 64)
    json_path(plan).write_text(beside.to_json())
    return plan


def package(model: Path, folder: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["package", str(model), "-o", str(folder), *options])


def blue_first(path: Path) -> Path:
    """The bundled model, given its channels in the other order."""
    model, spec = read_onnx_file(assets.MODEL)
    write_spec(model, dataclasses.replace(spec, color_order=ColorOrder.BGR))
    onnx.save(model, path)
    return path


def shell_lines(readme: Path) -> list[str]:
    """What the README tells to type, without what is installed already."""
    blocks = re.findall(r"```sh\n(.*?)```", readme.read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if "pip install" not in line]


def test_the_folder_holds_the_model_and_all_that_belongs_to_it(tmp_path: Path, spec: ModelSpec) -> None:
    result = package(assets.MODEL, tmp_path / "device")

    assert result.exit_code == 0, result.output
    assert (tmp_path / "device" / assets.MODEL.name).read_bytes() == assets.MODEL.read_bytes()
    assert ModelSpec.from_json((tmp_path / "device/spec.json").read_text()) == spec
    labels = [line.split("\t") for line in (tmp_path / "device/labels.txt").read_text().splitlines()]
    assert [(name, tuple(map(int, color))) for _, name, *color in labels] == [
        *zip(spec.classes, spec.palette, strict=True)
    ]
    assert (tmp_path / "device/cpp/include/afformer/afformer.hpp").is_file()
    assert "Apache License" in (tmp_path / "device/cpp/LICENSE").read_text()
    assert not (tmp_path / "device/cpp/tests").exists()


def test_an_engine_is_packed_with_its_json_and_the_lines_for_tensorrt(tmp_path: Path, engine: Path) -> None:
    result = package(engine, tmp_path / "device")

    assert result.exit_code == 0, result.output
    assert EngineInfo.beside(tmp_path / "device/street.engine") == EngineInfo.beside(engine)
    readme = (tmp_path / "device/README.md").read_text()
    assert "AFFORMER_WITH_TENSORRT=ON" in readme
    assert "TensorRT 10.3.0 on Orin" in readme
    assert "afformer-cli engine street.onnx -o street.engine --precision fp16" in readme


@pytest.mark.skipif(
    not (shutil.which("cmake") and (shutil.which("c++") or shutil.which("g++"))),
    reason="needs CMake and a C++ compiler",
)
def test_the_lines_of_the_readme_build_and_run_a_model_that_takes_blue_first(tmp_path: Path) -> None:
    folder, model = tmp_path / "device", blue_first(tmp_path / "model.onnx")
    assert package(model, folder).exit_code == 0
    # two JPEG decoders differ by a grey level here and there, which is not what is compared here
    write_image(folder / "picture.png", read_image(PICTURE))
    here = Path(sys.executable).parent
    script = "\n".join(["set -e", *shell_lines(folder / "README.md")]).replace("PICTURE.jpg", "picture.png")

    environment = {**os.environ, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}
    run = subprocess.run(
        ["sh", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )

    assert run.returncode == 0, run.stderr
    with Segmenter(model) as segment, Segmenter(assets.MODEL) as red_first:
        classmap, spec = segment(PICTURE), segment.spec
        assert (classmap != red_first(PICTURE)).mean() > 0.05
    colours = Renderer(spec.classes, spec.palette).colourise(classmap)
    same = (read_image(folder / "mask.png") == colours).all(axis=2)
    assert same.mean() >= 0.9999
    shares = {name: float(share) for share, name in re.findall(r"([\d.]+) %  (.+)", run.stdout)}
    assert shares == pytest.approx(
        {name: 100 * float(np.mean(classmap == i)) for i, name in enumerate(spec.classes)}, abs=0.02
    )
    assert (folder / "out").is_dir()


def test_the_json_report_lists_the_files(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["package", str(assets.MODEL), "-o", str(tmp_path / "device"), "--json"])

    report = json.loads(result.stdout)
    assert {"README.md", "spec.json", "labels.txt", assets.MODEL.name} <= set(report["files"])
    assert report["bytes"] == sum((tmp_path / "device" / name).stat().st_size for name in report["files"])


def _foreign(folder: Path) -> Path:
    model = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["": 20]> g (float[1] x) => (float[1] y) {y = Neg(x)}'
    )
    onnx.save(model, folder / "foreign.onnx")
    return folder / "foreign.onnx"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda folder: assets.CHECKPOINT, "afformer-cli export"),
        (_foreign, "afformer_spec"),
        (lambda folder: folder / "gone.onnx", "no such model file"),
        (lambda folder: folder / "gone.engine", "gone.engine: no such engine file"),
    ],
    ids=["checkpoint", "foreign model", "no model", "no engine"],
)
def test_what_is_no_model_is_one_clear_line_and_leaves_nothing(tmp_path: Path, model: object, words: str) -> None:
    result = package(model(tmp_path), tmp_path / "device")  # type: ignore[operator]

    assert result.exit_code == 1
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "device").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    result = package(assets.MODEL, tmp_path)

    assert result.exit_code == 1
    assert "not empty" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_or_the_current_folder_cannot_become_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    assert "is not a folder" in package(assets.MODEL, tmp_path / "file").stderr
    assert "is the current folder" in package(assets.MODEL, Path()).stderr


def test_a_folder_named_from_the_one_above_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "device").mkdir()

    assert package(assets.MODEL, Path("device")).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["device"]


def _without_plan(engine: Path) -> None:
    engine.unlink()


def _cut(engine: Path) -> None:
    engine.write_bytes(engine.read_bytes()[:2])


def _of_rtx(engine: Path) -> None:
    beside = dataclasses.replace(EngineInfo.beside(engine), library=Library.TENSORRT_RTX, gpu=None)
    json_path(engine).write_text(beside.to_json())


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_without_plan, "street.engine: no such engine file"),
        (_cut, "is not the engine that street.engine.json describes, or not all of it"),
        (_of_rtx, "an engine of TensorRT-RTX, which the C++ runtime does not run"),
    ],
)
def test_an_engine_that_could_not_run_is_refused(
    tmp_path: Path, engine: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(engine)
    before = sorted(tmp_path.iterdir())

    result = package(engine, tmp_path / "device")

    assert result.exit_code == 1
    assert words in result.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_names_with_spaces_are_quoted_in_the_lines_to_type(tmp_path: Path) -> None:
    model = tmp_path / "my street.onnx"
    shutil.copyfile(assets.MODEL, model)

    assert package(model, tmp_path / "device").exit_code == 0

    assert "afformer-image 'my street.onnx' PICTURE.jpg" in (tmp_path / "device/README.md").read_text()


def test_the_wheel_brings_the_cpp_runtime_without_its_tests(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    built = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr

    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()

    packed = {name.removeprefix("afformer/") for name in names if name.startswith("afformer/cpp/")}
    sources = {path.relative_to(root).as_posix() for path in (root / "cpp").rglob("*") if path.is_file()}
    assert packed == {name for name in sources if not name.startswith("cpp/tests/")}
    licenses = {name.partition("licenses/")[2] for name in names if ".dist-info/licenses/" in name}
    assert licenses >= {
        "LICENSE",
        "cpp/third_party/nlohmann/LICENSE.MIT",
        "cpp/third_party/onnxruntime/LICENSE",
        "cpp/third_party/stb/LICENSE",
    }


def test_a_model_whose_weights_lie_in_a_second_file_is_refused_with_the_line_that_joins_them(tmp_path: Path) -> None:
    model = tmp_path / "split.onnx"
    onnx.save(onnx.load(assets.MODEL), model, save_as_external_data=True, location="weights.bin")
    result = package(model, tmp_path / "device")
    assert result.exit_code == 1
    assert "split.onnx: needs other files beside it" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["split.onnx", "weights.bin"]


def test_a_link_to_an_empty_folder_stays_one_and_its_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    result = package(assets.MODEL, tmp_path / "link")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "spec.json").is_file()


def test_all_files_and_folders_get_the_permissions_that_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert package(assets.MODEL, tmp_path / "device").exit_code == 0
    finally:
        os.umask(before)
    packed = tmp_path / "device"
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in (packed, *packed.rglob("*"))}
    assert modes == {(True, 0o700), (False, 0o600)}


def test_a_name_over_two_lines_takes_one_line_of_the_labels(tmp_path: Path, spec: ModelSpec) -> None:
    model = onnx.load(assets.MODEL)
    write_spec(model, dataclasses.replace(spec, classes=("a\tb\nc", *spec.classes[1:])))
    onnx.save(model, tmp_path / "street.onnx")
    assert package(tmp_path / "street.onnx", tmp_path / "device").exit_code == 0
    lines = (tmp_path / "device" / "labels.txt").read_text().splitlines()
    assert len(lines) == spec.num_classes
    assert lines[0].startswith("0\ta b c\t")


def test_a_model_of_somebody_else_is_packed_with_its_spec(tmp_path: Path) -> None:
    foreign, said = write_foreign_onnx(tmp_path / "theirs.onnx", "open lengths"), tmp_path / "theirs.json"
    said.write_text(json.dumps(classes_of()))
    assert package(foreign, tmp_path / "device", "--spec", str(said)).exit_code == 0
    with Segmenter(tmp_path / "device" / "theirs.onnx") as segment:
        assert segment(np.zeros((9, 9, 3), np.uint8)).shape == (9, 9)
    full = write_foreign_onnx(tmp_path / "full.onnx", "logits at full size")
    said.write_text(json.dumps({**classes_of(), "stride": 1}))
    refused = package(full, tmp_path / "other", "--spec", str(said))
    assert "has logits at stride 1, and the C++ runtime reads stride 8" in refused.stderr
