"""The same network on all backends and converters, taking turns: latency, memory, size and accuracy.

    python benchmarks/peers.py --images DIR --labels DIR [--calibration DIR] [--int8 A.onnx B.onnx]
        [--int8-openvino C.onnx ...] [--sizes 512x512 360x480] [--threads 1 2] [--calls 60] [--only NAME ...]

Ours in float32 and, where files for the size are given, in INT8; PyTorch's plain export on ONNX Runtime; OpenVINO in
its default precision and in float32; INT8 by NNCF, both presets (needs --calibration); ncnn, MNN and LiteRT in float32
and in their own INT8 (needs --calibration), from our export and from the plain one; PyTorch eager and compiled.
What is not installed is left out, and what no converter can convert is listed, each with a line that says why. The
first row, ours in float32, is the reference of the ratios. With --images a second table has the pixels with PyTorch's
class.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import mobile_peers
import numpy as np
import onnx
import peer_backends
from export import plain_export
from mobile_peers import Failed, Sources

from afformer import assets
from afformer.commands.options import hxw
from afformer.export.onnx_graph import build_graph
from afformer.images import read_image
from afformer.measure.benchmark import Labelled, benchmark_models
from afformer.measure.benchmark_report import Benchmark
from afformer.measure.tables import aligned
from afformer.measure.timing import Case
from afformer.model.checkpoint import Checkpoint, load_checkpoint
from afformer.quantize.pictures import spread
from afformer.runtime import open_backend
from afformer.runtime.opening import OpenOptions
from afformer.streams.sources import open_source

Size = tuple[int, int]


def peer(name: str, path: Path, backend: str, input_hw: Size | None = None) -> Case:
    """A case of a backend that `peer_backends` registers."""
    return Case(path, OpenOptions(backend, input_hw=input_hw), peer_backends.__name__, name)


def cases_at(args: argparse.Namespace, checkpoint: Checkpoint, size: Size, folder: Path) -> Iterator[Case | Failed]:
    """All that can run here at a size, and what was tried and cannot."""
    network, spec = checkpoint.build(), checkpoint.spec(size)
    ours = folder / "ours.onnx"
    onnx.save(build_graph(network, spec), ours)
    yield Case(ours, name="ours, float32")
    for path in args.int8:
        if _input_hw(path) == size:
            yield Case(path, name=f"ours, INT8 ({path.name})")
    plain = plain_export(network, spec, folder / "plain.onnx")
    pictures = spread(open_source(args.calibration).paths, args.pictures) if args.calibration else ()
    yield Case(plain, name="plain export")
    if _installed("openvino", "OpenVINO"):
        yield peer("ours on OpenVINO, float32", ours, "openvino-f32")
        yield peer("ours on OpenVINO, default", ours, "openvino-default")
        for path in args.int8_openvino:
            if _input_hw(path) == size:
                yield peer(f"ours, INT8 ({path.name}) on OpenVINO, float32 else", path, "openvino-f32")
                yield peer(f"ours, INT8 ({path.name}) on OpenVINO, default", path, "openvino-default")
        yield peer("plain export on OpenVINO, default", plain, "openvino-default")
        if _installed("nncf", "NNCF") and _given(args.calibration, "--calibration", "NNCF"):
            for name, model in (("our export", ours), ("the plain export", plain)):
                for preset in (None, "transformer"):
                    title = f"NNCF INT8 of {name}, {preset or 'default'} preset"
                    if not _wanted(args)(title):
                        continue
                    made = peer_backends.nncf_model(model, pictures, folder, preset)
                    yield peer(title, made, "openvino-ir")
    yield from mobile_peers.cases(Sources(ours, plain, args.checkpoint, size), pictures, folder, _wanted(args))
    yield Case(args.checkpoint, OpenOptions("pytorch", input_hw=size), name="PyTorch")
    yield peer("PyTorch, torch.compile", args.checkpoint, "torch-compile", size)


def _wanted(args: argparse.Namespace) -> Callable[[str], bool]:
    return lambda name: not args.only or any(word in name for word in args.only)


def compare(args: argparse.Namespace, size: Size, folder: Path) -> str:
    """The tables of one size, and what cannot run."""
    found = list(cases_at(args, load_checkpoint(args.checkpoint), size, folder))
    wanted = _wanted(args)
    runs = [one for one in found if isinstance(one, Case)]
    chosen = [runs[0], *(case for case in runs[1:] if wanted(case.name))]
    failed = [f"{one.name}: {one.reason}" for one in found if isinstance(one, Failed)]
    kept = agreement(chosen, args, size) if args.images else []
    return "\n".join([benchmark(chosen, args).to_table(), "", *kept, *failed])


def agreement(cases: Sequence[Case], args: argparse.Namespace, size: Size) -> list[str]:
    """A table of the pixels with PyTorch's class, on average and on the worst picture."""
    pictures = [read_image(path) for path in spread(open_source(args.images).paths, args.agreement_pictures)]
    with OpenOptions("pytorch", input_hw=size).open_segmenter(args.checkpoint) as segment:
        expected = [segment(picture).copy() for picture in pictures]
    rows = [["model", "pixels with PyTorch's class, %", "on the worst picture"]]
    for case in cases:
        with case.open_options.open_segmenter(case.path) as segment:
            same = [
                100 * float(np.mean(segment(image) == known)) for image, known in zip(pictures, expected, strict=True)
            ]
        rows.append([case.name, f"{np.mean(same):.3f}", f"{min(same):.3f}"])
    return aligned(rows, left=("model",))


def benchmark(chosen: Sequence[Case], args: argparse.Namespace) -> Benchmark:
    """The cases with all numbers of threads, taking turns."""
    cases = [
        dataclasses.replace(case, open_options=dataclasses.replace(case.open_options, threads=count))
        for count in args.threads
        for case in chosen
    ]
    return benchmark_models(
        cases,
        calls=args.calls,
        labelled=Labelled(args.images, args.labels) if args.images else None,
        progress=lambda _, done, total: print(f"\rround {done} of {total}", end="\n" * (done == total), flush=True),
    )


def _input_hw(path: Path) -> Size:
    with open_backend(path) as backend:
        return backend.spec.input_hw


def _installed(module: str, title: str) -> bool:
    found = importlib.util.find_spec(module) is not None
    if not found:
        print(f"{title} is left out: the Python package {module} is not installed")
    return found


def _given(value: object, option: str, title: str) -> bool:
    if value is None:
        print(f"{title} is left out: it needs {option}")
    return value is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=assets.CHECKPOINT)
    parser.add_argument("--int8", type=Path, nargs="*", default=[], help="our INT8 files, of any of the sizes")
    parser.add_argument("--int8-openvino", type=Path, nargs="*", default=[], help="those of the target generic")
    parser.add_argument("--images", type=Path, help="labelled pictures, for the accuracy")
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--calibration", type=Path, help="pictures for the INT8 of others")
    parser.add_argument("--pictures", type=int, default=64, help="of them")
    parser.add_argument("--agreement-pictures", type=int, default=25, help="of --images, for the second table")
    parser.add_argument("--sizes", type=hxw, nargs="+", default=[(512, 512), (360, 480)])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--only", nargs="*", help="rows whose name contains one of these words, and the first")
    args = parser.parse_args()
    for size in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{compare(args, size, Path(folder))}\n")


if __name__ == "__main__":
    main()
