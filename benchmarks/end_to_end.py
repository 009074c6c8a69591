"""Pre-processing, post-processing and overlay of a video frame as a share of its inference.

    python benchmarks/end_to_end.py [MODEL.onnx] [--threads 2] [--frames 60] [--size 512x512]

Without a model it makes one of 150 classes from the bundled network: its eleven classes, and 139 random mixtures of
them that are a little less likely. A street then shows about twenty classes, six of which compete at a border. Frames
of several sizes take turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch

from afformer import Segmenter, assets, datasets
from afformer.commands.options import hxw
from afformer.export.onnx_graph import build_graph
from afformer.images import RGBImage, read_image
from afformer.measure.machine import Machine
from afformer.measure.tables import aligned
from afformer.measure.timing_worker import Stopwatch
from afformer.model.checkpoint import load_checkpoint
from afformer.model.network import AFFormer
from afformer.runtime import open_backend
from afformer.runtime.render import Renderer
from afformer.spec import ModelSpec

CLASSES = 150
FRAMES_HW = ((512, 512), (480, 640), (720, 1280))
PARTS = ("inference", "pre", "post", "overlay")


def many_classes(input_hw: tuple[int, int], path: Path) -> Path:
    """Writes the bundled network with `CLASSES` classes."""
    trained = load_checkpoint(assets.CHECKPOINT)
    network = AFFormer(trained.config, CLASSES).eval()
    state = dict(trained.state)
    random = np.random.default_rng(0)
    one, other = random.integers(0, trained.num_classes, (2, CLASSES - trained.num_classes))
    spice = torch.from_numpy(random.normal(0, 0.09, (len(one), trained.num_classes)).astype(np.float32))
    for name, less in (("head.classify.weight", 0), ("head.classify.bias", 2)):
        own = state[name]
        mixed = 0.7 * own[one] + 0.3 * own[other] + torch.tensordot(spice, own - own.mean(0), 1) - less
        state[name] = torch.cat([own, mixed])
    network.load_state_dict(state)
    named = datasets.generic(CLASSES)
    onnx.save(build_graph(network, ModelSpec("tiny", input_hw, named.classes, named.palette)), path)
    return path


def frame_times(
    segment: Segmenter, watch: Stopwatch, renderer: Renderer, frame: RGBImage, out: np.ndarray
) -> tuple[float, ...]:
    """Seconds of each of `PARTS` for one frame."""
    start = time.perf_counter()
    segment(frame, out=out)
    segmented = time.perf_counter()
    renderer.overlay(frame, out, follow=True)
    drawn = time.perf_counter()
    return watch.answered - watch.started, watch.started - start, segmented - watch.answered, drawn - segmented


def measure(model: Path, threads: int, count: int) -> list[list[str]]:
    """A row of text for each size of frame."""
    picture = read_image(next(path for path in assets.pictures() if "1280x720" in path.name))
    frames = [np.ascontiguousarray(cv2.resize(picture, (width, height)), np.uint8) for height, width in FRAMES_HW]
    maps = [np.empty(frame.shape[:2], np.uint8) for frame in frames]
    times: list[list[tuple[float, ...]]] = [[] for _ in frames]
    with open_backend(model, threads=threads) as backend:
        watch = Stopwatch(backend)
        lanes = [
            (Segmenter(watch), Renderer(backend.spec.classes, backend.spec.palette, outlines=True, names=True))
            for _ in frames
        ]
        for _ in range(count + 3):
            for (segment, renderer), frame, out, kept in zip(lanes, frames, maps, times, strict=True):
                kept.append(frame_times(segment, watch, renderer, frame, out))
    return [row(hw, out, kept[3:]) for hw, out, kept in zip(FRAMES_HW, maps, times, strict=True)]


def row(hw: tuple[int, int], classmap: np.ndarray, times: list[tuple[float, ...]]) -> list[str]:
    medians = [f"{statistics.median(part) * 1e3:.2f}" for part in zip(*times, strict=True)]
    share = statistics.median(sum(around) / inference for inference, *around in times)
    return [f"{hw[1]}x{hw[0]}", *medians, f"{share:.1%}", str(len(np.unique(classmap)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--frames", type=int, default=60, help="of each size")
    parser.add_argument("--size", type=hxw, default=(512, 512), help="input of the model that is made")
    args = parser.parse_args()
    cv2.setNumThreads(1)  # as `infer` has it
    with tempfile.TemporaryDirectory() as folder:
        model = args.model or many_classes(args.size, Path(folder) / "many.onnx")
        rows = measure(model, args.threads, args.frames)
    print(Machine.here().to_text())
    print(f"\n{args.threads} threads, {args.frames} frames of each size in turns, medians in ms; share: of inference")
    print("\n".join(aligned([["frame", *PARTS, "share", "classes seen"], *rows], left=("frame",))))


if __name__ == "__main__":
    main()
