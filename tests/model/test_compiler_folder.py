"""The folder of PyTorch's compiler, which is neither made nor read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from afformer import assets
from afformer.model.compiler_folder import without_compiler_folder

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def run(code: str, temporary: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    environment["TMPDIR"] = str(temporary)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_optimisers_and_the_exporter_leave_nothing_in_the_temporary_folder(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    run(
        "import torch\n"
        "from afformer.export.onnx_graph import trace\n"
        "from afformer.spec import OutputKind\n"
        "from afformer.model.compiler_folder import without_compiler_folder\n"
        "trace(torch.nn.Conv2d(3, 3, 1), torch.zeros(1, 3, 8, 8), OutputKind.LOGITS)\n"
        "with without_compiler_folder():\n"
        "    torch.optim.AdamW([torch.ones(1, requires_grad=True)], fused=True)",
        tmp_path / "tmp",
    )
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_checkpoint_is_read_without_the_compiler(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from afformer.model.checkpoint import load_checkpoint\n"
        f"load_checkpoint(Path({str(assets.CHECKPOINT)!r})).spec((64, 64)); print('torch._dynamo' in sys.modules)"
    )
    assert run(code, tmp_path) == "False\n"
    assert list(tmp_path.iterdir()) == []


def test_the_environment_is_as_before_after_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with without_compiler_folder():
        assert Path(os.environ[VARIABLE]) == Path(torch.__file__).parent
    assert VARIABLE not in os.environ


def test_what_the_user_has_set_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/elsewhere")
    with without_compiler_folder():
        assert os.environ[VARIABLE] == "/elsewhere"
    assert os.environ[VARIABLE] == "/elsewhere"
