from __future__ import annotations

from pathlib import Path

import pytest

from afformer import assets
from tests.builders.cli import run


def test_demo_without_torch_says_so_and_writes_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = run("demo", "-o", tmp_path / "demo")
    assert result.exit_code == 0
    assert result.output.startswith("PyTorch and ONNX are not installed")
    assert len(list((tmp_path / "demo").glob("*.png"))) == 3 * len(assets.pictures())
