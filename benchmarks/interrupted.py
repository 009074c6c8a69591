"""What is left when commands are killed, or when the disk is full? Over all commands that write.

    python benchmarks/interrupted.py kills [--kills 100] [--seed 1]    SIGKILL at random moments, then the same command
    python benchmarks/interrupted.py disks [--kib 1024]                output and temporary folder on such a disk (root)

After a kill, no file under a final name may be cut; the next run must end well and leave nothing unfinished. On a full
disk a command must end with one line and 1, without any file that is cut or unfinished. Prints what broke that.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import av
import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parents[1]))

from afformer import assets
from afformer.files import CHECKPOINT_SUFFIXES
from afformer.images import read_image
from afformer.model.checkpoint import load_checkpoint
from afformer.model.files import open_checkpoint_file
from afformer.package import package_model
from afformer.tensorrt.engine_info import EngineInfo
from tests.builders.street_data import write_names, write_streets
from tests.builders.videos import write_clip

ROOT = Path(__file__).parents[1]
UNFINISHED = ".afformer-"
PLAIN = "from afformer.cli import main; main()"
WITH_GPU = (
    "from tests.nvidia.pretend import machine_with_gpu as gpu\nwith gpu():\n    from afformer.cli import main; main()"
)


@dataclasses.dataclass(frozen=True)
class Case:
    """A command that writes into `{out}`; `{in}` holds what `prepare` made."""

    name: str
    line: str
    code: str = PLAIN

    def start(self, inputs: Path, place: Path) -> subprocess.Popen[str]:
        """Starts it with `place/out` and `place/tmp`."""
        words = [word.format(**{"in": inputs, "out": place / "out"}) for word in self.line.split()]
        environment = os.environ | {"TMPDIR": str(place / "tmp"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        if self.code == WITH_GPU:  # the pretended TensorRT imports ONNX Runtime before the package can
            environment["ORT_DISABLE_TELEMETRY"] = "1"
        command = [sys.executable, "-c", self.code, *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=place, env=environment, stdout=pipe, stderr=pipe, text=True)


CASES = (
    Case("export", f"export {assets.CHECKPOINT} -o {{out}}/a.onnx --size 64x96"),
    Case("export fp16", f"export {assets.CHECKPOINT} -o {{out}}/a.onnx --size 64x96 --precision fp16"),
    Case(
        "quantize",
        "quantize {in}/model.onnx --calibration {in}/streets/images -o {out}/q.onnx --pictures 2 --allow-drop "
        "--allow-slower --budget 1",
    ),
    Case("engine", "engine {in}/model.onnx -o {out}/a.engine --timing-cache {out}/a.cache", WITH_GPU),
    Case(
        "engine int8",
        "engine {in}/model.onnx -o {out}/a.engine --precision int8 --images {in}/streets/images --allow-drop",
        WITH_GPU,
    ),
    Case("package", "package {in}/model.onnx -o {out}/packed"),
    Case("infer pictures", "infer {in}/model.onnx {in}/streets/images -o {out} --write overlay,mask,npy,json --legend"),
    Case("infer side by side", f"infer {assets.pictures()[0]} -o {{out}} --write side-by-side,mask"),
    Case("infer video", "infer {in}/model.onnx {in}/clip.mp4 -o {out} --write video,jsonl"),
    Case("infer avi", "infer {in}/model.onnx {in}/clip.mp4 -o {out}/a.avi --write video"),
    Case(
        "train",
        "train {in}/streets --names {in}/names.txt -o {out}/t.pth --crop 64x64 --batch 2 --epochs 2 --checks 4",
    ),
    Case(
        "train safetensors",
        "train {in}/streets --names {in}/names.txt -o {out}/t.safetensors --crop 64x64 --batch 2 --epochs 1 --checks 2",
    ),
    Case("train sheet", "train {in}/streets --names {in}/names.txt --sheet {out}/sheet.png --crop 64x64 --batch 2"),
    Case("benchmark", "benchmark {in}/model.onnx --calls 3 --profile --json"),
    Case("demo", "demo -o {out}/demo"),
)


def prepare(inputs: Path) -> None:
    """Makes what the commands read."""
    write_streets(inputs / "streets", 6)
    write_names(inputs / "names.txt")
    write_clip(inputs / "clip.mp4", 60, size_hw=(96, 128))
    case = Case("model", f"export {assets.CHECKPOINT} -o {{in}}/model.onnx --size 64x96")
    (inputs / "tmp").mkdir()
    _finish(case.start(inputs, inputs))


def _finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate()
    return process.returncode, errors


# What a file under its final name must hold to be whole.


def _onnx(path: Path) -> None:
    onnx.checker.check_model(onnx.load(path), full_check=True)


def _video(path: Path) -> None:
    with av.open(str(path)) as video:
        assert sum(1 for _ in video.decode(video=0)) > 0


def _json_lines(path: Path) -> None:
    assert path.read_text().endswith("\n")
    numbers = [json.loads(line)["index"] for line in path.read_text().splitlines()]
    assert numbers == list(range(60))


def _html(path: Path) -> None:
    assert path.read_text().rstrip().endswith("</html>")


def _resume(path: Path) -> None:
    with open_checkpoint_file(path) as (content, _):
        assert content


CHECKS: dict[str, Callable[[Path], object]] = {
    ".onnx": _onnx,
    ".mp4": _video,
    ".avi": _video,
    ".jsonl": _json_lines,
    ".html": _html,
    ".svg": ElementTree.parse,
    ".json": lambda path: json.loads(path.read_text()),
    ".npy": np.load,
    ".png": read_image,
    ".jpg": read_image,
    ".resume": _resume,
    ".engine": lambda path: EngineInfo.beside(path).read_engine(path),
    **dict.fromkeys(CHECKPOINT_SUFFIXES, load_checkpoint),
}


def cut_files(out: Path, whole_package: set[Path]) -> list[str]:
    """Files under final names that are not whole."""
    found = []
    packed = out / "packed"
    if packed.exists() and {path.relative_to(packed) for path in packed.rglob("*")} != whole_package:
        found.append("packed: not all of its files")
    for path in sorted(out.rglob("*")):
        inside = path.relative_to(out).parts
        if path.is_dir() or inside[0] == "packed" or any(name.startswith(UNFINISHED) for name in inside):
            continue
        check = CHECKS.get(path.suffix)
        try:
            assert path.stat().st_size > 0
            if check:
                check(path)
        except Exception as error:  # whatever is wrong with it
            found.append(f"{path.relative_to(out)}: {type(error).__name__}: {error}"[:200])
    return found


def unfinished(place: Path) -> list[str]:
    """Everything that is not a result: under temporary names in the output folder, and all in the temporary one."""
    beside = [path for path in (place / "out").rglob("*") if path.name.startswith(UNFINISHED)]
    return [str(path.relative_to(place)) for path in (*beside, *(place / "tmp").iterdir())]


@contextlib.contextmanager
def prepared() -> Iterator[tuple[Path, set[Path]]]:
    """The inputs, and the files of a whole package."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "in"
        inputs.mkdir()
        prepare(inputs)
        package_model(inputs / "model.onnx", Path(folder) / "packed")
        yield inputs, {path.relative_to(Path(folder) / "packed") for path in (Path(folder) / "packed").rglob("*")}


def kills(count: int, seed: int, names: list[str]) -> bool:
    """Prints what SIGKILL left; says whether all was well."""
    chance, cases, faults, left = random.Random(seed), _chosen(names), 0, 0
    with prepared() as (inputs, whole), tempfile.TemporaryDirectory() as folder:
        seconds = {case.name: _undisturbed(case, inputs, Path(folder) / "whole") for case in cases}
        for number in range(count):
            case = cases[number % len(cases)]
            place = _place(Path(folder) / str(number))
            # most of what can go wrong comes late, when files are written
            moment = seconds[case.name] * chance.uniform(0.2, 1.0) ** 0.7
            process = case.start(inputs, place)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moment)
            process.kill()
            _finish(process)
            remains = unfinished(place)
            left += bool(remains)
            problems = [f"after the kill, {problem}" for problem in cut_files(place / "out", whole)]
            code, errors = _finish(case.start(inputs, place))
            # a package that was finished before the kill is refused the second time, as it should be
            if code and not (case.name == "package" and "is not empty" in errors):
                problems.append(f"the next run ended with {code}: {errors[-300:]}")
            problems += [f"after the next run, {problem}" for problem in cut_files(place / "out", whole)]
            problems += [f"after the next run, {path} is left" for path in unfinished(place)]
            faults += bool(problems)
            print(f"{number:>3} {case.name} at {moment:.2f} s: left {remains}; {problems or 'well'}", flush=True)
            shutil.rmtree(place)
    print(f"{count} kills, {left} left something unfinished, {faults} broke a promise")
    return not faults


def _undisturbed(case: Case, inputs: Path, place: Path) -> float:
    _place(place)
    start = time.monotonic()
    code, errors = _finish(case.start(inputs, place))
    seconds = time.monotonic() - start
    assert code == 0, f"{case.name}: {errors}"
    assert not unfinished(place), f"{case.name}: {unfinished(place)}"
    written = sorted(str(path.relative_to(place)) for path in (place / "out").rglob("*"))
    print(f"{case.name}: {seconds:.1f} s, {len(written)} files such as {written[:3]}", flush=True)
    shutil.rmtree(place)
    return seconds


def _place(path: Path) -> Path:
    for name in ("out", "tmp"):
        (path / name).mkdir(parents=True)
    return path


def _chosen(names: list[str]) -> list[Case]:
    return [case for case in CASES if not names or case.name in names]


def disks(kib: int, names: list[str]) -> bool:
    """Runs each command on full disks, of every size up to `kib`; says whether all was well."""
    well = True
    with prepared() as (inputs, whole):
        for case in _chosen(names):
            for split in (False, True):
                problems, told = _on_small_disk(case, inputs, whole, kib, temporary_elsewhere=split)
                well &= not problems
                where = "output on it" if split else "output and temporary folder on it"
                print(f"{case.name}, {where}: {told}; {problems or 'well'}", flush=True)
    return well


def _on_small_disk(
    case: Case, inputs: Path, whole: set[Path], kib: int, *, temporary_elsewhere: bool
) -> tuple[list[str], str]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        disk = place / "out" if temporary_elsewhere else place
        disk.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(disk)], check=True)
        try:
            for name in ("out", "tmp"):
                (place / name).mkdir(exist_ok=True)
            code, errors = _finish(case.start(inputs, place))
            problems = cut_files(place / "out", whole)
            problems += [f"{path} is left" for path in unfinished(place)]
            if code:
                lines = [line for line in errors.splitlines() if line.startswith("Error: ")]
                if code != 1 or len(lines) != 1 or "Traceback" in errors:
                    problems.append(f"ended with {code} and {errors[-600:]!r}")
            return problems, f"exit code {code}, {errors.strip().splitlines()[-1:]}"
        finally:
            subprocess.run(["umount", str(disk)], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("kills", "disks"))
    parser.add_argument("names", nargs="*", help="Cases; all by default.")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kib", type=int, default=1024)
    asked = parser.parse_intermixed_args()
    good = kills(asked.kills, asked.seed, asked.names) if asked.what == "kills" else disks(asked.kib, asked.names)
    sys.exit(not good)
