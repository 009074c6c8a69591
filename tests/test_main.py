"""What signals do to the program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to whole process groups")

_PREPARE = "import os, signal, sys, types\nimport afformer.__main__ as program\n"
_WHILE_LOADING = (
    "class Finder:\n"
    "    def find_spec(self, name, *_):\n"
    "        if name == 'afformer.cli': os.kill(os.getpid(), int(sys.argv[1]))\n"
    "sys.meta_path.insert(0, Finder())\n"
)
_FAKE = "fake = types.ModuleType('afformer.cli')\nsys.modules['afformer.cli'] = fake\n"
_AT_WORK = _FAKE + (
    "from afformer.files import replacing\nfrom pathlib import Path\n"
    "def main():\n"
    "    with replacing(Path(sys.argv[2])) as path:\n"
    "        path.write_text('half')\n"
    "        os.kill(os.getpid(), int(sys.argv[1]))\n"
    "fake.main = main\n"
)
_SWALLOWED = _FAKE + (
    "def main():\n"
    "    try: os.kill(os.getpid(), int(sys.argv[1]))\n"
    "    except BaseException: raise ImportError('cannot be imported')\n"
    "fake.main = main\n"
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", [_WHILE_LOADING, _AT_WORK, _SWALLOWED], ids=["loading", "at work", "in an import"])
def test_signals_end_the_program_with_their_codes_and_leave_nothing(
    tmp_path: Path, when: str, number: signal.Signals
) -> None:
    code = f"{_PREPARE}{when}program.run()"
    command = [sys.executable, "-c", code, str(int(number)), str(tmp_path / "a.txt")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (128 + number, "", "")
    assert list(tmp_path.iterdir()) == []


def test_what_a_shell_ignores_in_the_background_stays_ignored() -> None:
    code = f"{_PREPARE}signal.signal(signal.SIGINT, signal.SIG_IGN)\n{_SWALLOWED}fake.main = lambda: None\n"
    code += "import afformer.cli\nfake.main = lambda: os.kill(os.getpid(), signal.SIGINT)\nprogram.run()"
    assert subprocess.run([sys.executable, "-c", code, "2"], cwd=ROOT, check=False).returncode == 0


def test_what_other_libraries_warn_of_is_not_on_stderr() -> None:
    code = f"{_PREPARE}import warnings\n{_FAKE}"
    code += "fake.main = lambda: warnings.warn_explicit('odd', UserWarning, 'a.py', 1, 'PIL.Any')\nprogram.run()"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True).stderr == b""
    loud = subprocess.run([sys.executable, "-W", "always", "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert b"odd" in loud.stderr


def test_a_full_disk_behind_stdout_is_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "afformer", "doctor"]
        ended = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "No space left" in ended.stderr


@pytest.mark.parametrize(
    "code",
    [
        "from afformer.runtime.backends import onnxruntime",
        "from afformer.quantize import activations",
        "from afformer.export import onnx_graph",
        "from afformer import doctor; doctor.diagnose()",
    ],
)
def test_onnx_runtime_writes_no_telemetry_file(tmp_path: Path, code: str) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
    assert list(tmp_path.iterdir()) == []
