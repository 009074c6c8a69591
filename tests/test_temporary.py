from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from afformer import temporary
from afformer.errors import OutputError
from afformer.files import check_writable, make_folder, replacing, write_file
from afformer.temporary import temporary_folder, working_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no locks on open files of this kind")

_HOLD = (
    "import sys, time\nfrom pathlib import Path\nfrom afformer import files, temporary\n"
    "with {door}(Path(sys.argv[1])) as path:\n"
    "    (path / 'x' if path.is_dir() else path).write_text('half')\n"
    "    print(path, flush=True)\n"
    "    time.sleep(600)\n"
)
DOORS = ["files.replacing", "temporary.temporary_folder", "temporary.working_folder"]


def _hold(door: str, output: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process in the middle of its work, and the path under which it works."""
    command = [sys.executable, "-c", _HOLD.format(door=door), str(output)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def _run(door: str, output: Path) -> Path:
    doors = {DOORS[0]: replacing, DOORS[1]: temporary_folder, DOORS[2]: working_folder}
    with doors[door](output) as path:
        return path


@pytest.mark.parametrize("door", DOORS)
def test_the_next_run_of_an_output_removes_what_a_killed_one_left(tmp_path: Path, door: str) -> None:
    process, left = _hold(door, tmp_path / "a.mp4")
    _end(process)
    assert left.exists()
    assert _run(door, tmp_path / "a.mp4") == left
    assert not left.exists()


@pytest.mark.parametrize("door", DOORS)
def test_what_a_living_process_works_on_stays(tmp_path: Path, door: str) -> None:
    process, works_on = _hold(door, tmp_path / "a.mp4")
    try:
        assert _run(door, tmp_path / "a.mp4") != works_on
        assert works_on.exists()
    finally:
        _end(process)
    _run(door, tmp_path / "a.mp4")


def test_leftovers_of_runs_at_the_same_time_go_all_at_once(tmp_path: Path) -> None:
    held = [_hold("files.replacing", tmp_path / "a.txt") for _ in range(3)]
    for process, _ in held:
        _end(process)
    write_file(tmp_path / "a.txt", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_leftovers_of_another_output_stay(tmp_path: Path) -> None:
    process, left = _hold("files.replacing", tmp_path / "a.txt")
    _end(process)
    write_file(tmp_path / "b.txt", b"whole")
    assert left.exists()
    check_writable(tmp_path / "a.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_others_put_under_a_temporary_name_is_neither_followed_nor_removed(tmp_path: Path, kind: str) -> None:
    with replacing(tmp_path / "a.txt") as planted:
        planted.write_text("x")
    victim = tmp_path / "victim"
    victim.write_text("precious")
    planted.symlink_to(victim) if kind == "link" else os.mkfifo(planted)
    write_file(tmp_path / "a.txt", b"new")
    assert (tmp_path / "a.txt").read_bytes() == b"new"
    assert victim.read_text() == "precious"
    assert os.path.lexists(planted)


def test_files_get_the_permissions_that_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "a.txt", b"x")
        with working_folder(tmp_path / "a.txt") as folder:
            assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("door", [check_writable, make_folder, lambda path: write_file(path, b"x")])
def test_a_path_with_a_nul_character_is_one_line(door: object, tmp_path: Path) -> None:
    assert callable(door)
    with pytest.raises(OutputError, match=r"'.*a\\x00b': holds a NUL character"):
        door(tmp_path / "a\0b")


def test_no_other_module_makes_temporary_files_that_nobody_finds_again() -> None:
    named = re.compile(r"TemporaryDirectory|NamedTemporaryFile|mkdtemp|mkstemp")
    sources = [path for path in Path(temporary.__file__).parent.rglob("*.py") if named.search(path.read_text("utf-8"))]
    assert sources == []
