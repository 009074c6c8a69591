"""What decoding, drawing and encoding a video cost on top of inference: the whole video against the model alone.

    python benchmarks/video.py [MODEL.onnx] [--threads 2] [--rounds 12] [--frames 60] [--size 640x480]

The bundled model if none is named. Two processes take turns: one runs the model on one tensor again and again, the
other does what `afformer-cli infer MODEL clip.mp4` does. The processor time, of all threads, depends less on what else
runs on the machine; that of the video includes opening the model.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np

from afformer import assets
from afformer.commands.options import hxw
from afformer.measure.machine import Machine
from afformer.runtime import open_backend
from afformer.runtime.backends.base import input_tensor
from afformer.runtime.opening import OpenOptions
from afformer.streams.segment import OutputOptions, segment_pictures
from cpp import ride


def write_clip(path: Path, frames: int, size_hw: tuple[int, int]) -> Path:
    """A ride along a bundled photograph."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, size_hw[::-1])
    for frame in ride(size_hw, frames, step=2):
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def alone(turns: Connection, model: Path, threads: int, frames: int) -> None:
    """Seconds for `frames` runs of the model, and seconds of processor time, each time it is asked."""
    with open_backend(model, threads=threads) as backend:
        _, shape, dtype = input_tensor(backend.spec)
        feed = np.zeros(shape, dtype)
        backend.run(feed)
        while turns.recv():
            start, used = time.perf_counter(), time.process_time()
            for _ in range(frames):
                backend.run(feed)
            turns.send((time.perf_counter() - start, time.process_time() - used))


def whole(turns: Connection, model: Path, threads: int, clip: Path) -> None:
    """Seconds from the first frame asked for to the finished video, and of processor time, each time it is asked."""
    while turns.recv():
        used = time.process_time()
        result = segment_pictures(
            model,
            [str(clip)],
            clip.parent / "out",
            output_options=OutputOptions(video=True),
            open_options=OpenOptions(threads=threads),
        )
        turns.send((result.flow.seconds, time.process_time() - used))


def start(task: Callable[..., None], *args: object) -> Connection:
    here, there = mp.Pipe()
    mp.get_context("spawn").Process(target=task, args=(there, *args), daemon=True).start()
    return here


def ask(worker: Connection, frames: int) -> tuple[float, float]:
    """Milliseconds for each frame, and of processor time."""
    worker.send(True)
    seconds, used = worker.recv()
    return seconds / frames * 1e3, used / frames * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?", default=assets.MODEL)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--size", type=hxw, default=(480, 640), help="of the video, HxW")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = write_clip(Path(folder) / "clip.mp4", args.frames, args.size)
        workers = start(alone, args.model, args.threads, args.frames), start(whole, args.model, args.threads, clip)
        rounds = [[ask(worker, args.frames) for worker in workers] for _ in range(args.rounds + 1)][1:]
        for worker in workers:
            worker.send(False)
    model, video = zip(*rounds, strict=True)
    ratios = sorted(whole[0] / alone[0] for alone, whole in rounds)
    print(f"{Machine.here().to_text()}\n\n{args.model.name}, {args.threads} threads, ms for a frame, medians")
    for name, times in (("model alone", model), ("whole video", video)):
        seconds, used = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"  {name} {seconds:6.2f}, processor time {used:6.2f}")
    print(f"  ratio       {statistics.median(ratios):6.3f}  ({ratios[0]:.3f} to {ratios[-1]:.3f})")


if __name__ == "__main__":
    main()
