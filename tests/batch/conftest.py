from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.builders.cli import STREET
from tests.builders.tiny_onnx import write_tiny_onnx


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_onnx(tmp_path / "tiny.onnx")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with two pictures and a file that is none."""
    folder = tmp_path / "pictures"
    (folder / "night").mkdir(parents=True)
    shutil.copy(STREET, folder / "one.jpg")
    shutil.copy(STREET, folder / "night" / "two.jpg")
    (folder / "zero.jpg").write_bytes(b"not a picture")
    return folder
