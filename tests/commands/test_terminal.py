"""The program with streams that are closed, are closed later, or lack characters."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from afformer import assets

CLI = f"{sys.executable} -m afformer"
NOT_UTF8 = os.fsdecode(b"caf\xe9.jpg")
NAMES = (NOT_UTF8, "straße_日本.jpg")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names are bytes only on Linux")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures = tmp_path / "in"
    pictures.mkdir()
    for name in NAMES:
        (pictures / name).symlink_to(assets.pictures()[0])
    return tmp_path


def _infer(folder: Path, redirection: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = f"set -o pipefail; {CLI} infer {assets.MODEL} in -o out {redirection}"
    variables = {**os.environ, "PYTHONUTF8": "1", **environment}
    return subprocess.run(["bash", "-c", command], cwd=folder, env=variables, capture_output=True, check=False)


def _assert_done(folder: Path, done: subprocess.CompletedProcess[bytes]) -> None:
    assert (done.returncode, done.stderr) == (0, b"")
    written = sorted(os.fsencode(path.name) for path in (folder / "out").iterdir())
    assert written == sorted(
        os.fsencode(name.removesuffix(".jpg")) + kind for name in NAMES for kind in (b"_mask.png", b"_overlay.png")
    )


@pytest.mark.parametrize("redirection", ["2>&-", ">&-", ">&- 2>&- <&-", "| head -c 1", "| true"])
def test_the_work_is_done_whatever_becomes_of_the_streams(folder: Path, redirection: str) -> None:
    _assert_done(folder, _infer(folder, redirection))


def test_names_are_printed_as_the_bytes_that_they_are(folder: Path) -> None:
    done = _infer(folder)
    _assert_done(folder, done)
    assert b"out/caf\xe9_overlay.png\n" in done.stdout
    assert "out/straße_日本_overlay.png\n".encode() in done.stdout


def test_characters_that_the_terminal_lacks_are_escaped(folder: Path) -> None:
    done = _infer(folder, PYTHONUTF8="0", PYTHONIOENCODING="latin-1")
    _assert_done(folder, done)
    assert rb"stra" + b"\xdf" + rb"e_\u65e5\u672c_overlay.png" in done.stdout


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_json_keeps_every_name_in_any_encoding(folder: Path, encoding: str) -> None:
    done = _infer(folder, "--json --write json", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    listed = json.loads(done.stdout.decode(encoding))["pictures"]
    assert sorted(Path(picture["picture"]).name for picture in listed) == sorted(NAMES)
    written = json.loads((folder / "out" / os.fsdecode(b"caf\xe9_classes.json")).read_text("utf-8"))
    assert Path(written["picture"]).name == NOT_UTF8


def test_an_error_names_a_file_whose_name_is_not_utf8(folder: Path) -> None:
    (folder / "in" / os.fsdecode(b"\xff.png")).write_bytes(b"no picture")
    done = _infer(folder)
    assert done.returncode == 1
    assert b"Error: in/\xff.png: is not a picture" in done.stderr


def test_a_model_whose_name_is_not_utf8_is_opened(tmp_path: Path) -> None:
    model = tmp_path / os.fsdecode(b"mod\xe9l.onnx")
    model.symlink_to(assets.MODEL)
    backends = ["onnxruntime", *(["openvino"] if importlib.util.find_spec("openvino") else [])]
    for backend in backends:
        infer: list[str | Path] = ["infer", model, assets.pictures()[0], "-o", tmp_path / backend, "--backend", backend]
        done = subprocess.run([*CLI.split(), *infer], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
