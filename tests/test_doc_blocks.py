"""The code blocks of README and docs run as they are printed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import cv2
import onnx
import pytest

from afformer import assets
from afformer.images import read_image, write_mask
from afformer.runtime import Segmenter
from tests.builders.cli import STREET, run
from tests.builders.doc_blocks import PAGES, ROOT, RUNNABLE, blocks, command_lines, name_of, run_block
from tests.builders.serving import running
from tests.builders.videos import street, write_clip

WITH_BLOCKS_TO_RUN = [
    page for page in PAGES if any(block.language in RUNNABLE and block.mark is None for block in blocks(page))
]
SERVING = ROOT / "docs" / "serve.md"
"""Its requests need a server."""


@pytest.fixture(scope="module")
def supplies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the blocks name: photos, labels, a video, a checkpoint, a small model."""
    folder = tmp_path_factory.mktemp("supplies")
    for place in ("photos", "val/images", "val/labels", "frames"):
        (folder / place).mkdir(parents=True)
    for name in ("photo.jpg", "street.jpg"):
        shutil.copy(STREET, folder / name)
    shutil.copy(assets.CHECKPOINT, folder / "checkpoint.pth")
    done = run("export", assets.CHECKPOINT, "-o", folder / "model.onnx", "--size", "64x64")
    assert done.exit_code == 0, done.output
    _write_without_spec(folder / "model.onnx", folder / "theirs.onnx")
    _write_labelled(folder)
    write_clip(folder / "street.mp4", 3)
    for number, frame in enumerate(street(2), 1):
        cv2.imwrite(str(folder / "frames" / f"f_{number:04d}.png"), frame[..., ::-1])
    return folder


def _write_without_spec(model: Path, copy: Path) -> None:
    """The same network as a file of somebody else."""
    proto = onnx.load(model)
    del proto.metadata_props[:]
    onnx.save(proto, copy)


def _write_labelled(folder: Path) -> None:
    with Segmenter(assets.MODEL) as segment:
        (folder / "names.txt").write_text("\n".join(segment.spec.classes))
        for path in assets.pictures():
            shutil.copy(path, folder / "photos")
            shutil.copy(path, folder / "val" / "images")
            write_mask(folder / "val" / "labels" / f"{path.stem}.png", segment(path), segment.spec.palette)


@pytest.fixture
def workplace(supplies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a copy of the supplies."""
    shutil.copytree(supplies, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("page", [page for page in WITH_BLOCKS_TO_RUN if page != SERVING], ids=name_of)
def test_the_blocks_of_a_page_run_in_order(page: Path, workplace: Path, supplies: Path) -> None:
    def put_back() -> None:
        """The small model, where a line exported one of full size over it: what comes next need not wait for it."""
        shutil.copy(supplies / "model.onnx", workplace / "model.onnx")

    for block in blocks(page):
        if block.language in RUNNABLE and block.mark is None:
            run_block(block, put_back)
    assert not list(workplace.rglob(".afformer-*"))


def test_the_requests_of_the_page_on_serving_are_answered(workplace: Path) -> None:
    requests = [block for block in blocks(SERVING) if block.mark is None and block.language in RUNNABLE]
    assert {block.language for block in requests} == RUNNABLE
    if shutil.which("curl") is None:
        pytest.skip("the page's requests are lines of curl, which is not installed")
    with running({"street": assets.MODEL}) as server:
        for block in requests:
            code = block.code.replace("localhost:8000", server.address)
            if block.language == "python":
                exec(compile(code, str(block), "exec"), {})
                continue
            for line in command_lines(code):
                subprocess.run(["sh", "-c", line.replace("curl ", "curl --fail --silent --show-error ")], check=True)
    assert read_image(workplace / "mask.png").shape == read_image(workplace / "overlay.jpg").shape
