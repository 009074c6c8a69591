"""Our INT8 models against float32 and against what the engines' own tools make of the same network.

    python benchmarks/int8.py --calibration DIR [--checkpoint FILE] [--size 512x512] [--threads 1 2] [--folder DIR]

All from one checkpoint: our float32 export and INT8 models of it for ONNX Runtime (`x86`) and OpenVINO (`generic`); the
plain export of PyTorch; NNCF's INT8 of both float models. Every model lives in its own process, the processes take
turns, and a ratio is the median over the rounds of a model's burst to that of our float32 export on ONNX Runtime. What
has no row needs the packages `openvino` and `nncf`.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Contender(NamedTuple):
    """A model file on an engine.

    `engine` is `onnxruntime`, `openvino` with float32, or `openvino-default` with the floats that it chooses itself.
    """

    label: str
    path: Path
    engine: str


def onnxruntime_runner(path: Path, threads: int) -> Callable[[], object]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    feeds = {source.name: picture(source.shape)}
    return lambda: session.run(None, feeds)


def openvino_runner(path: Path, threads: int, settings: dict[str, str]) -> Callable[[], object]:
    import openvino as ov

    settings = {**settings, "INFERENCE_NUM_THREADS": str(threads), "NUM_STREAMS": "1", "PERFORMANCE_HINT": "LATENCY"}
    model = ov.Core().compile_model(path, "CPU", settings)
    request, image = model.create_infer_request(), picture(list(model.input(0).shape))
    return lambda: request.infer([image], share_inputs=True, share_outputs=True)


def picture(shape: list[int]) -> Floats:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def serve(contender: Contender, threads: int, pipe: Connection) -> None:
    """Worker: loads one model, then answers each number n with the seconds of n calls."""
    if contender.engine == "onnxruntime":
        call = onnxruntime_runner(contender.path, threads)
    else:
        exact = {"INFERENCE_PRECISION_HINT": "f32"} if contender.engine == "openvino" else {}
        call = openvino_runner(contender.path, threads, exact)
    pipe.send("ready")
    while calls := pipe.recv():
        seconds = []
        for _ in range(calls):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        pipe.send(seconds)


def measure(contenders: list[Contender], threads: int, rounds: int, calls: int) -> list[list[float]]:
    """Median seconds of every burst of each contender."""
    context = multiprocessing.get_context("spawn")
    pipes = []
    for contender in contenders:
        ours, theirs = context.Pipe()
        context.Process(target=serve, args=(contender, threads, theirs), daemon=True).start()
        theirs.close()  # so that a worker that dies ends the wait for it
        ours.recv()
        pipes.append(ours)
    bursts: list[list[float]] = [[] for _ in contenders]
    for index in range(rounds + 1):
        for pipe, collected in zip(pipes, bursts, strict=True):
            pipe.send(calls)
            burst = pipe.recv()
            if index:  # the first round warms up
                collected.append(statistics.median(burst))
    for pipe in pipes:
        pipe.send(0)
    return bursts


def make_models(args: argparse.Namespace) -> list[Contender]:
    """All models, written into the folder."""
    # here, because the workers import this file too and have no use for PyTorch
    import onnx
    from export import plain_export

    from afformer.export.onnx import build_graph
    from afformer.images import read_image
    from afformer.model.checkpoint import load_checkpoint
    from afformer.quantize import lowering
    from afformer.quantize.calibration import calibrate
    from afformer.quantize.pictures import survey
    from afformer.quantize.placement import Target
    from afformer.runtime.preprocess import prepare

    loaded = load_checkpoint(args.checkpoint)
    network, spec = loaded.build(), loaded.spec(args.size, None)
    paths = {name: args.folder / f"{name}.onnx" for name in ("static", "plain", "x86", "generic")}
    onnx.save(build_graph(network, spec), paths["static"])
    plain_export(network, args.size, paths["plain"])
    pictures = survey(args.calibration, args.size, args.pictures).paths

    def feeds() -> Iterator[Floats]:
        yield from (prepare(read_image(path), spec).tensor[None] for path in pictures)

    prepared = lowering.prepare(onnx.load(paths["static"]))
    for target in (Target.X86, Target.GENERIC):
        tensors = lowering.tensors_to_observe(prepared, target)
        ranges = calibrate(prepared, tensors, feeds()).ranges
        onnx.save(lowering.lower(prepared, ranges, target).model, paths[target.value])
    contenders = [
        Contender("ours, float32", paths["static"], "onnxruntime"),
        Contender("ours, INT8 x86", paths["x86"], "onnxruntime"),
        Contender("plain export, float32", paths["plain"], "onnxruntime"),
    ]
    if importlib.util.find_spec("openvino"):
        contenders += [
            Contender("ours, INT8 generic", paths["generic"], "openvino"),
            Contender("ours, INT8 generic", paths["generic"], "openvino-default"),
            Contender("ours, float32", paths["static"], "openvino-default"),
            Contender("plain export, float32", paths["plain"], "openvino-default"),
        ]
    if importlib.util.find_spec("nncf"):
        for name in ("plain", "static"):
            made = quantize_with_nncf(paths[name], list(feeds()))
            contenders.append(Contender(f"{name} export, NNCF INT8", made, "openvino-default"))
    return contenders


def quantize_with_nncf(path: Path, feeds: list[Floats]) -> Path:
    """NNCF's default INT8 of a model."""
    import nncf
    import openvino as ov

    model = nncf.quantize(ov.Core().read_model(path), nncf.Dataset(feeds), subset_size=len(feeds))
    made = path.with_name(f"{path.stem}_nncf.xml")
    ov.save_model(model, made)
    return made


def main() -> None:
    from afformer import assets
    from afformer.cli import hxw

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calibration", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--checkpoint", type=Path, default=assets.CHECKPOINT)
    parser.add_argument("--size", type=hxw, default=(512, 512))
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.mkdtemp()))
    args = parser.parse_args()
    contenders = make_models(args)
    for threads in args.threads:
        bursts = measure(contenders, threads, args.rounds, args.calls)
        print(f"{platform.machine()}, {threads} threads, {args.size[0]}x{args.size[1]}, {args.rounds} rounds")
        for contender, collected in zip(contenders, bursts, strict=True):
            ratio = statistics.median(ours / base for ours, base in zip(collected, bursts[0], strict=True))
            milliseconds = statistics.median(collected) * 1e3
            print(f"{milliseconds:8.2f} ms  {ratio:5.3f}  {contender.engine:17} {contender.label}")


if __name__ == "__main__":
    main()
