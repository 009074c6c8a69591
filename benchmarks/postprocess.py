"""Class map from logits: `classmap_from_logits` against full-size bilinear + argmax, in one alternating run.

    python benchmarks/postprocess.py MODEL.onnx PICTURE [--size HxW] [--threads 1]
    python benchmarks/postprocess.py LOGITS.npz --size 512x512        (an array `logits`, (C, h, w) or (1, C, h, w))

The full-size way is written in three forms, each as fast as OpenCV and numpy let it be; the ratio is against the
fastest of them. All take turns; figures are medians. On a noisy machine trust the ratios, not the milliseconds.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from afformer.commands.options import hxw
from afformer.images import read_image
from afformer.runtime import Segmenter, classmap_from_logits

Logits = npt.NDArray[np.float32]
ClassMap = npt.NDArray[np.integer]
GROUP = 4
"""Channels at a time for OpenCV's resize, whose fast paths have up to four."""


def planes_then_argmax(logits: Logits, out_hw: tuple[int, int]) -> ClassMap:
    """Every class resized into a `(C, H, W)` array, then `argmax` over it."""
    height, width = out_hw
    full = np.empty((len(logits), height, width), np.float32)
    for plane, target in zip(logits, full, strict=True):
        cv2.resize(plane, (width, height), dst=target, interpolation=cv2.INTER_LINEAR)
    return np.asarray(full.argmax(axis=0))


def groups_then_argmax(logits: Logits, out_hw: tuple[int, int]) -> ClassMap:
    """Classes resized four at a time into an `(H, W, C)` array, then `argmax` over its last axis."""
    height, width = out_hw
    full = np.empty((height, width, len(logits)), np.float32)
    for start in range(0, len(logits), GROUP):
        group = np.ascontiguousarray(logits[start : start + GROUP].transpose(1, 2, 0))
        resized = cv2.resize(group, (width, height), interpolation=cv2.INTER_LINEAR)
        full[..., start : start + GROUP] = resized.reshape(height, width, -1)
    return np.asarray(full.argmax(axis=-1))


def running_maximum(logits: Logits, out_hw: tuple[int, int]) -> ClassMap:
    """One class after the other resized and compared with the best so far, without keeping it."""
    height, width = out_hw
    plane, best = np.empty(out_hw, np.float32), np.full(out_hw, -np.inf, np.float32)
    labels = np.zeros(out_hw, np.uint8 if len(logits) <= 256 else np.int32)
    better = np.empty(out_hw, bool)
    for class_id, cells in enumerate(logits):
        cv2.resize(cells, (width, height), dst=plane, interpolation=cv2.INTER_LINEAR)
        np.greater(plane, best, out=better)
        np.copyto(labels, class_id, where=better)
        np.maximum(best, plane, out=best)
    return labels


METHODS: tuple[Callable[[Logits, tuple[int, int]], ClassMap], ...] = (
    planes_then_argmax,
    groups_then_argmax,
    running_maximum,
    classmap_from_logits,
)


def load(model: Path, picture: Path | None, threads: int) -> tuple[Logits, tuple[int, int] | None]:
    """`(C, h, w)` logits, and the picture's size where there is a picture."""
    if model.suffix == ".npz":
        with np.load(model) as arrays:
            logits = arrays["logits"]
            return np.ascontiguousarray(logits.reshape(logits.shape[-3:]), np.float32), None
    if picture is None:
        raise SystemExit("a model needs a picture")
    image = read_image(picture)
    with Segmenter(model, threads=threads) as segment:
        return segment.logits(image), (image.shape[0], image.shape[1])


def border_share(logits: Logits) -> float:
    """Share of the 2x2 neighbourhoods of cells whose winners differ."""
    winner = logits.argmax(axis=0)
    corner = winner[:-1, :-1]
    return float(((winner[1:, 1:] != corner) | (winner[1:, :-1] != corner) | (winner[:-1, 1:] != corner)).mean())


def measure(logits: Logits, out_hw: tuple[int, int], rounds: int) -> list[float]:
    """Median seconds of each of `METHODS`; the first round, which warms up, is dropped."""
    seconds: list[list[float]] = [[] for _ in METHODS]
    for _ in range(rounds + 1):
        for method, collected in zip(METHODS, seconds, strict=True):
            start = time.perf_counter()
            method(logits, out_hw)
            collected.append(time.perf_counter() - start)
    return [statistics.median(collected[1:]) for collected in seconds]


def main() -> None:
    """Prints one line a method."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="an ONNX model, or an .npz with `logits`")
    parser.add_argument("picture", type=Path, nargs="?")
    parser.add_argument("--size", type=hxw, help="of the class map; the picture's own if left out")
    parser.add_argument("--threads", type=int, default=1, help="OpenCV's, which the full-size ways profit from")
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    cv2.setNumThreads(args.threads)
    logits, picture_hw = load(args.model, args.picture, args.threads)
    out_hw = args.size or picture_hw or (logits.shape[1] * 8, logits.shape[2] * 8)
    maps = [method(logits, out_hw) for method in METHODS]
    medians = measure(logits, out_hw, args.rounds)
    fastest = min(medians[:-1])
    print(f"{platform.processor() or platform.machine()}, {args.threads} OpenCV threads, {args.rounds} rounds")
    print(f"logits {logits.shape}, class map {out_hw}, {border_share(logits):.1%} of the blocks at borders")
    for method, median, classmap in zip(METHODS, medians, maps, strict=True):
        differing = int((classmap != maps[-1]).sum())
        print(f"{median * 1e3:8.2f} ms  {fastest / median:5.1f}x  {method.__name__}, {differing} pixels differ")


if __name__ == "__main__":
    main()
