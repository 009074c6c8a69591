from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tarfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from afformer.errors import CheckpointError
from afformer.model.checkpoint import load_checkpoint
from afformer.model.files import open_checkpoint_file
from tests.builders import hostile
from tests.builders.checkpoint_files import (
    archive,
    member,
    npz,
    one,
    storage,
    tar,
    tensor,
    written,
)

SMALL = hostile.small()

READER = """
    import json, pathlib, resource, sys
    import torch
    from afformer.errors import CheckpointError
    from afformer.model.checkpoint import load_checkpoint

    torch.set_num_threads(1)
    status = dict(line.split(":") for line in open("/proc/self/status"))
    limit = int(status["VmSize"].split()[0]) * 1024 + (500 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (100, 100))
    for path in map(pathlib.Path, sys.argv[1:]):
        try:
            load_checkpoint(path)
        except CheckpointError as error:
            print(json.dumps([path.name, str(error)]))
"""


def refusal(path: Path) -> str:
    """What the user is told, which is one line that can be printed, not too long."""
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path)
    said = str(error.value)
    assert said.startswith(f"{path}: ")
    assert said.isprintable()
    assert len(said) < 1000
    said.encode("ascii", "strict" if path.as_posix().isascii() else "replace")
    return said.removeprefix(f"{path}: ")


@pytest.mark.parametrize("name", SMALL)
def test_one_line_says_why_a_hostile_file_is_refused(tmp_path: Path, name: str) -> None:
    assert refusal(written(tmp_path / "a.pth", SMALL[name]))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as on Linux")
def test_hostile_files_of_some_megabytes_stay_within_500_mb(tmp_path: Path) -> None:
    names = []
    for name, content in hostile.large():
        written(tmp_path / name, content)
        names.append(name)
    command = [sys.executable, "-c", textwrap.dedent(READER), *(str(tmp_path / name) for name in names)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    said = dict(json.loads(line) for line in run.stdout.splitlines())
    assert (run.returncode, list(said)) == (0, names), run.stderr
    assert not [name for name in names if "not enough memory" in said[name]]
    assert "too many steps" in said["more steps than its size allows"]
    assert all("again and again" in said[name] for name in names if "again and again" in name)


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("tail", [b"", hostile.HIDING])
def test_a_program_is_named_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tail: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path / "a.pth", hostile.torch_script(tmp_path) + tail)
    assert ("not at the end" if tail else "TorchScript") in refusal(path)
    assert not Path("PWNED").exists()


def test_files_that_a_tar_archive_links_to_are_left_alone(tmp_path: Path) -> None:
    victim = written(tmp_path / "victim", b"secret")
    victim.chmod(0o600)
    before = victim.stat()
    linked, _ = member("storages", kind=tarfile.LNKTYPE, link=str(victim))
    linked.mode = 0o4777
    assert "'storages' is a hard link" in refusal(written(tmp_path / "a.pth", tar((linked, b""))))
    after = victim.stat()
    assert (after.st_mode, after.st_nlink, after.st_mtime_ns) == (before.st_mode, 1, before.st_mtime_ns)
    assert victim.read_bytes() == b"secret"


@pytest.mark.parametrize("name", ["fifo", "folder", "/dev/zero", "link", "missing", "file/below", "a\0b"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/dev/zero")
    written(tmp_path / "file", b"x")
    with pytest.raises(CheckpointError, match=r"no such checkpoint file|cannot be opened"):
        load_checkpoint(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"\n <!DOCTYPE html><html>", "web page"),
        (b"GGUF\x03\0\0\0", "GGUF"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"\x08\x0a\x12\x07pytorch\x1a\x05", "ONNX"),
        (npz(), "NumPy .npz"),
        (archive(one(tensor())).replace(b"archive/data.pkl", b"archive/data.zip"), "a zip archive, but not of torch"),
        (b"PK\x05\x06" + bytes(18), "an empty zip archive"),
        (b"hello\nthere", "a text (hello there), not a checkpoint"),
        (b"{'a': \xc3\xa4}\0", "no form that is known"),
        (b"\xff\xfe\xfd hello", "no form that is known"),
    ],
)
def test_another_kind_of_file_is_called_what_it_is(tmp_path: Path, content: bytes, what: str) -> None:
    assert what in refusal(written(tmp_path / "a.pth", content))


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pth", archive(one(tensor(storage()))))
    with pytest.raises(CheckpointError, match="became shorter"):
        _read_after(path, lambda: os.truncate(path, 60))


def _read_after(path: Path, change: Callable[[], None]) -> None:
    with open_checkpoint_file(path) as (content, _):
        change()
        content["x"].weights()


def test_memory_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.pth", archive(one(tensor())))

    def none_left(*_arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr("afformer.model.reading.machine.Machine.run", none_left)
    with pytest.raises(CheckpointError, match="not enough memory"):
        load_checkpoint(path)


def test_cycles_are_collected_again_after_a_file_was_refused(tmp_path: Path) -> None:
    refusal(written(tmp_path / "a.pth", SMALL["a memo that is empty"]))
    assert gc.isenabled()
