"""Gives a target changed files, in a process of its own that may die, and keeps those that it should have survived."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from afformer.errors import AfformerError
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import Target, target

ROOT = Path(__file__).parents[2]
_MEMORY = 500 << 20
_PIXELS = 1 << 24
"""Of the largest picture that is decoded: what it needs must stay far below `_MEMORY`."""
_REPORT_EVERY = 100


@dataclasses.dataclass(frozen=True)
class Options:
    """How long and from where.

    Attributes:
        name: Of the target.
        engine: `atheris`, which looks for new paths, or `own`, which needs no package.
        runs: Inputs at most.
        seconds: Time at most; 0 for no limit.
        seed: Of the random numbers.
        kept: The folder that takes what broke the target.
        cpu_seconds: CPU time that one input may take.
        memory: Address space of the process in bytes.
    """

    name: str
    engine: str
    runs: int
    seconds: float
    seed: int
    kept: str
    cpu_seconds: float = 5
    memory: int = 8 << 30


def fuzz(options: Options) -> dict[str, Any]:
    """Runs a target; the report gives its inputs, seconds and findings."""
    shared = Path("/dev/shm")  # in memory where there is such a place
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        command = [sys.executable, "-m", "tests.fuzz.engine", folder, json.dumps(dataclasses.asdict(options))]
        child = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, errors="replace")
        if not (Path(folder) / "report.json").exists():
            raise RuntimeError(child.stderr)
        report: dict[str, Any] = json.loads((Path(folder) / "report.json").read_text())
        if child.returncode:
            current = next(Path(folder).glob("current*"))
            name = f"died with {child.returncode}: {child.stderr[-500:]}"
            report["findings"][name] = _keep(current.read_bytes(), options)
    return report


def _keep(data: bytes, options: Options) -> str:
    kept = Path(options.kept)
    kept.mkdir(parents=True, exist_ok=True)
    path = kept / f"{options.name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return str(path)


class Watch:
    """Runs a target on one input after another and writes down what it should not have done."""

    def __init__(self, options: Options, folder: Path) -> None:
        self.target: Target = target(options.name)
        self._options = options
        self._report = folder / "report.json"
        self._current = folder / f"current{self.target.suffix}"
        self._findings: dict[str, str] = {}
        self._inputs = 0
        self._start = time.monotonic()
        self._peak = _peak()
        self.save()

    def run(self, data: bytes) -> None:
        """One input."""
        self._current.write_bytes(data)
        self._inputs += 1
        try:
            with _limited(self._options.cpu_seconds):
                self.target.run(self._current)
        except AfformerError as error:
            if "\n" in str(error):
                self._found("a message of several lines", data)
        except Exception as error:  # exactly what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            self._found(f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {error}"[:200], data)
        if _peak() > self._peak + _MEMORY:
            self._found("more than 500 MB", data)
            self._peak = _peak()
        if self._inputs % _REPORT_EVERY == 0:
            self.save()

    def is_over(self) -> bool:
        """Whether the time is."""
        return 0 < self._options.seconds < time.monotonic() - self._start

    def save(self) -> None:
        """Writes the report so far."""
        found = {"target": self._options.name, "engine": self._options.engine, "inputs": self._inputs}
        seconds = round(time.monotonic() - self._start, 1)
        self._report.write_text(json.dumps({**found, "seconds": seconds, "findings": self._findings}))

    def _found(self, what: str, data: bytes) -> None:
        if what not in self._findings:
            self._findings[what] = _keep(data, self._options)
            self.save()


class TooSlow(Exception):  # noqa: N818 - what it says
    """An input that took too much CPU time."""


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Ends what takes more CPU time than it may."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlow(f"more than {seconds} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _peak() -> int:
    """The most memory that this process ever had, in bytes. Linux alone: getrusage counts what the parent had too."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024


def _run_own(watch: Watch, options: Options) -> None:
    """Changes seeds blindly; half of the time inside their form, if the target has such a change."""
    chance, seeds = random.Random(options.seed), watch.target.seeds()
    for data in seeds:
        watch.run(data)
    for _ in range(options.runs - len(seeds)):
        change = chance.choice([mutated, watch.target.inside or mutated])
        watch.run(change(chance.choice(seeds), chance))
        if watch.is_over():
            break


def _run_atheris(watch: Watch, options: Options, folder: Path) -> None:
    """Changes whatever led to a new path in the code. Ends the process."""
    import atheris

    corpus = folder / "corpus"
    corpus.mkdir()
    for index, data in enumerate(watch.target.seeds()):
        (corpus / f"{index:04}").write_bytes(data)
    inside = watch.target.inside

    def change(data: bytes, longest: int, seed: int) -> bytes:
        if inside and seed % 2:
            return inside(data, random.Random(seed))[:longest]
        return bytes(atheris.Mutate(data, len(data)) if seed % 4 else mutated(data, random.Random(seed))[:longest])

    limits = [f"-runs={options.runs}", f"-max_total_time={int(options.seconds)}", f"-seed={options.seed or 1}"]
    arguments = ["fuzz", *limits, "-max_len=200000", "-rss_limit_mb=0", "-verbosity=0", str(corpus)]
    atheris.Setup(arguments, watch.run, custom_mutator=change)
    atheris.Fuzz()


def main(folder: Path, options: Options) -> None:
    """The process in which the target runs."""
    resource.setrlimit(resource.RLIMIT_AS, (options.memory, options.memory))
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["AFFORMER_MAX_PIXELS"] = str(_PIXELS)
    if options.engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=["afformer"], enable_loader_override=False):
            watch = Watch(options, folder)
        _run_atheris(watch, options, folder)
    else:
        watch = Watch(options, folder)
        _run_own(watch, options)
    watch.save()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Options(**json.loads(sys.argv[2])))
