"""The C++ runtime against the Python one: from a decoded frame to its class map, at the frame's own size.

    python benchmarks/cpp.py [MODEL.onnx...] [--threads 1 2] [--rounds 15] [--frames 20] [--size 480x640]
    python benchmarks/cpp.py [MODEL.onnx] --soak 10000          does the C++ runtime's memory grow?
    python benchmarks/cpp.py [MODEL.onnx...] --callers 1 2 8    what do threads gain that share one segmenter?

The bundled model if none is named. Builds `cpp/` with -O3, and lets both load the ONNX Runtime of the installed Python
package. Two processes take turns, one round of frames each; the ratio is that of neighbouring rounds.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import multiprocessing as mp
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from afformer import assets
from afformer.commands.options import hxw
from afformer.images import read_image
from afformer.measure.machine import Machine
from afformer.runtime import Segmenter

CPP = Path(__file__).parents[1] / "cpp"
Frames = npt.NDArray[np.uint8]


def build(folder: Path) -> Path:
    """Builds the program that measures the C++ runtime."""
    flags = ("-DCMAKE_BUILD_TYPE=Release", "-DAFFORMER_BUILD_TESTS=ON", "-DAFFORMER_BUILD_EXAMPLES=OFF")
    for command in (("-S", CPP, "-B", folder, *flags), ("--build", folder, "--target", "afformer-meter")):
        done = subprocess.run(["cmake", *map(str, command)], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"cmake {' '.join(map(str, command))} failed:\n{done.stdout}\n{done.stderr}")
    return folder / "tests" / "afformer-meter"


def onnxruntime_library() -> Path:
    found = importlib.util.find_spec("onnxruntime")
    libraries = sorted((Path(found.origin or "").parent / "capi").glob("libonnxruntime.so*")) if found else []
    return libraries[-1] if libraries else sys.exit("the installed onnxruntime has no libonnxruntime.so")


def ride(size_hw: tuple[int, int], count: int = 30, step: int = 4) -> Frames:
    """`(n, H, W, 3)` RGB: a ride along a bundled photograph, `step` pixels a frame."""
    height, width = size_hw
    photo = cv2.resize(read_image(assets.pictures()[0]), (width + step * count, height))
    return np.stack([photo[:, step * i : step * i + width] for i in range(count)])


@dataclasses.dataclass(frozen=True)
class Meter:
    """The C++ program that measures, and the frames that it takes in turn."""

    program: Path
    frames: Path
    size_hw: tuple[int, int]

    def start(self, model: Path, *what: str) -> subprocess.Popen[str]:
        """Starts it on a model."""
        command = [self.program, model, self.frames, *self.size_hw, *what]
        environment = {**os.environ, "AFFORMER_ONNXRUNTIME": str(onnxruntime_library())}
        pipe = subprocess.PIPE
        return subprocess.Popen(list(map(str, command)), env=environment, stdin=pipe, stdout=pipe, text=True)


def cpp_turns(process: subprocess.Popen[str]) -> Callable[[int], float]:
    """Seconds that the C++ process takes for so many frames."""

    def turn(count: int) -> float:
        assert process.stdin
        assert process.stdout
        print(count, file=process.stdin, flush=True)
        return float(process.stdout.readline())

    return turn


def python_worker(turns: Connection, model: Path, frames: Frames, threads: int) -> None:
    with Segmenter(model, threads=threads) as segment:
        classmap, shown = np.empty(frames.shape[1:3], np.uint8), 0
        while count := turns.recv():
            start = time.perf_counter()
            for _ in range(count):
                segment(frames[shown % len(frames)], out=classmap)
                shown += 1
            turns.send(time.perf_counter() - start)


def python_turns(model: Path, frames: Frames, threads: int) -> Callable[[int], float]:
    """Seconds that the Python process takes for so many frames."""
    here, there = mp.Pipe()
    mp.get_context("spawn").Process(target=python_worker, args=(there, model, frames, threads), daemon=True).start()

    def turn(count: int) -> float:
        here.send(count)
        return float(here.recv()) if count else 0.0

    return turn


def compare(model: Path, threads: int, meter: Meter, frames: Frames, args: argparse.Namespace) -> str:
    process = meter.start(model, "turns", "--threads", str(threads))
    ours, theirs = cpp_turns(process), python_turns(model, frames, threads)
    for turn in (ours, theirs):
        turn(args.frames)
    rounds = []
    for i in range(args.rounds):  # who goes first changes, lest one always inherits the other's warm or busy machine
        times = [turn(args.frames) / args.frames * 1e3 for turn in ((ours, theirs) if i % 2 else (theirs, ours))]
        rounds.append(tuple(times if i % 2 else times[::-1]))
    theirs(0)
    process.communicate()
    cpp, python = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratios = sorted(one / other for one, other in rounds)
    return (
        f"{model.name:44}{threads:8}{python:9.2f}{cpp:9.2f}{statistics.median(ratios):8.3f}"
        f"   {ratios[0]:.3f} to {ratios[-1]:.3f}"
    )


def crowd(model: Path, meter: Meter, args: argparse.Namespace) -> str:
    """Frames a second of several callers, each on one CPU thread, and the ratios to the first number of callers."""
    start = [meter.start(model, "turns", str(callers), "--threads", "1") for callers in args.callers]
    turns = [cpp_turns(process) for process in start]
    rounds = [[args.frames / turn(args.frames) for turn in turns] for _ in range(args.rounds + 1)][1:]
    for process in start:
        process.communicate()
    speeds = [statistics.median(column) for column in zip(*rounds, strict=True)]
    ratios = [statistics.median(each[i] / each[0] for each in rounds) for i in range(len(turns))]
    cells = (f"{speed:9.1f} ({ratio:.2f})" for speed, ratio in zip(speeds, ratios, strict=True))
    return f"{model.name:44}{''.join(cells)}"


def soak(model: Path, meter: Meter, args: argparse.Namespace) -> None:
    process = meter.start(model, "soak", str(args.soak), "--threads", str(args.threads[-1]))
    start = time.perf_counter()
    first, hundred, end = (int(kib) / 1024 for kib in process.communicate()[0].split())
    print(f"\n{model.name}, {args.soak} frames in {time.perf_counter() - start:.0f} s; memory, MB")
    print(f"  after the first {first:.1f}, after 100 {hundred:.1f}, at the end {end:.1f} ({end - hundred:+.1f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", type=Path, nargs="*", default=[assets.MODEL])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--frames", type=int, default=20, help="a round")
    parser.add_argument("--size", type=hxw, default=(480, 640), help="of the frames, HxW")
    parser.add_argument("--soak", type=int, default=0, metavar="FRAMES")
    parser.add_argument("--callers", type=int, nargs="+", help="threads that share one segmenter")
    args = parser.parse_args()
    print(Machine.here().to_text())
    with tempfile.TemporaryDirectory() as name:
        frames, meter = ride(args.size), Meter(build(Path(name) / "build"), Path(name) / "frames.raw", args.size)
        meter.frames.write_bytes(frames.tobytes())
        if args.soak:
            soak(args.models[0], meter, args)
            return
        if args.callers:
            print(f"\nframes of {args.size[0]}x{args.size[1]} a second, of {args.callers} callers (ratio to the first)")
            for model in args.models:
                print(crowd(model, meter, args))
            return
        print(f"\nframes of {args.size[0]}x{args.size[1]}, ms for a frame, medians of {args.rounds} rounds")
        print(f"{'model':44}{'threads':>8}{'Python':>9}{'C++':>9}{'ratio':>8}")
        for model in args.models:
            for threads in args.threads:
                print(compare(model, threads, meter, frames, args))


if __name__ == "__main__":
    main()
