"""Latency of ONNX models on ONNX Runtime against the first one, in one alternating run.

    python benchmarks/latency.py BASELINE.onnx CANDIDATE.onnx ... [--threads 2] [--rounds 15] [--calls 10]

Every model lives in its own process (thread pools in one process disturb each other); the processes take turns, and a
model's figure is the median over all its calls. On a noisy machine trust the ratios, not the milliseconds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import statistics
import time
from multiprocessing.connection import Connection
from pathlib import Path


def serve(path: str, threads: int, pipe: Connection) -> None:
    """Worker: loads one model, then answers each number n with the seconds of n calls."""
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0" if threads == 1 else "1")
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    model_input = session.get_inputs()[0]
    random = np.random.default_rng(0)
    if model_input.type == "tensor(uint8)":
        image = random.integers(0, 256, model_input.shape, dtype=np.uint8)
    else:
        image = random.standard_normal(model_input.shape).astype(np.float32)
    feeds = {model_input.name: image}
    pipe.send("ready")
    while calls := pipe.recv():
        seconds = []
        for _ in range(calls):
            start = time.perf_counter()
            session.run(None, feeds)
            seconds.append(time.perf_counter() - start)
        pipe.send(seconds)


def measure(models: list[Path], threads: int, rounds: int, calls: int) -> list[float]:
    """Median seconds a call of each model."""
    context = multiprocessing.get_context("spawn")
    pipes = []
    for model in models:
        ours, theirs = context.Pipe()
        context.Process(target=serve, args=(str(model), threads, theirs), daemon=True).start()
        ours.recv()
        pipes.append(ours)
    seconds: list[list[float]] = [[] for _ in models]
    for index in range(rounds + 1):
        for pipe, collected in zip(pipes, seconds, strict=True):
            pipe.send(calls)
            burst = pipe.recv()
            if index:  # the first round warms up
                collected.extend(burst)
    for pipe in pipes:
        pipe.send(0)
    return [statistics.median(collected) for collected in seconds]


def main() -> None:
    """Prints one line a model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=10)
    args = parser.parse_args()
    medians = measure(args.models, args.threads, args.rounds, args.calls)
    print(f"{platform.processor() or platform.machine()}, {args.threads} threads, {args.rounds} x {args.calls} calls")
    for model, median in zip(args.models, medians, strict=True):
        print(f"{median * 1e3:8.2f} ms  {median / medians[0]:5.3f}  {model}")


if __name__ == "__main__":
    main()
