"""The same network on everything that could run it, in one alternating run: latency, memory, size and accuracy.

    python benchmarks/peers.py --images DIR --labels DIR [--calibration DIR] [--int8 A.onnx B.onnx]
        [--sizes 512x512 360x480] [--threads 1 2] [--calls 60] [--only NAME ...]

Ours in float32 and, where files for the size are given, in INT8; PyTorch's plain export on ONNX Runtime; OpenVINO in
its own precision and in float32; INT8 by NNCF (needs --calibration); PyTorch eager and compiled. What is not installed
is left out, with a line that says so. The first row, ours in float32, is the reference of the ratios.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import importlib.util
import tempfile
from collections.abc import Iterator
from pathlib import Path

import onnx
import peer_engines
from export import plain_export

from afformer import Segmenter, assets, datasets
from afformer.commands.options import hxw
from afformer.export.onnx_graph import build_graph
from afformer.images import read_image
from afformer.measure.benchmark import Benchmark, benchmark
from afformer.measure.evaluation import evaluate
from afformer.measure.timing import Contender
from afformer.model.checkpoint import Checkpoint, load_checkpoint
from afformer.runtime import open_backend
from afformer.runtime.preprocess import fit_picture
from afformer.spec import ModelSpec
from afformer.streams.sources import open_source

Size = tuple[int, int]
Entry = tuple[str, Contender]
"""What a row is called, and what runs."""


def entries(args: argparse.Namespace, checkpoint: Checkpoint, size: Size, folder: Path) -> Iterator[Entry]:
    """All that can run here at a size."""
    network, spec = checkpoint.build(), checkpoint.spec(size)
    ours = folder / "ours.onnx"
    onnx.save(build_graph(network, spec), ours)
    yield "ours, float32", Contender(ours)
    for path in args.int8:
        if _input_hw(path) == size:
            yield f"ours, INT8 ({path.name})", Contender(path)
    yield "plain export", Contender(plain_export(network, spec, folder / "plain.onnx"))
    plugin = functools.partial(Contender, plugin=peer_engines.__name__)
    if _installed("openvino", "OpenVINO"):
        yield "ours on OpenVINO, float32", plugin(ours, "openvino-f32")
        yield "ours on OpenVINO, default", plugin(ours, "openvino-default")
        for path in args.int8_openvino:
            if _input_hw(path) == size:
                yield f"ours, INT8 ({path.name}) on OpenVINO", plugin(path, "openvino-default")
        yield "plain export on OpenVINO, default", plugin(folder / "plain.onnx", "openvino-default")
        if _installed("nncf", "NNCF") and _given(args.calibration, "--calibration", "NNCF"):
            for name, model in (("our export", ours), ("the plain export", folder / "plain.onnx")):
                yield f"NNCF INT8 of {name}", plugin(_nncf(model, spec, args), "openvino-ir")
    yield "PyTorch", Contender(args.checkpoint, "pytorch", input_hw=size)
    yield "PyTorch, torch.compile", plugin(args.checkpoint, "torch-compile", input_hw=size)


def compare(args: argparse.Namespace, size: Size, folder: Path) -> Benchmark:
    """One table: all entries at one size."""
    found = list(entries(args, load_checkpoint(args.checkpoint), size, folder))
    chosen = [found[0], *(entry for entry in found[1:] if not args.only or any(word in entry[0] for word in args.only))]
    rows = [
        (name, dataclasses.replace(contender, threads=count)) for count in args.threads for name, contender in chosen
    ]
    accuracy = functools.partial(_miou, args.images, args.labels) if args.images else None
    return benchmark(
        [contender for _, contender in rows],
        assets.pictures()[0],
        calls=args.calls,
        names=[name for name, _ in rows],
        accuracy=accuracy,
        seen=lambda done, total: print(f"\rround {done} of {total}", end="\n" if done == total else "", flush=True),
    )


def _nncf(model: Path, spec: ModelSpec, args: argparse.Namespace) -> Path:
    """NNCF's INT8 with its defaults, calibrated on `--calibration`."""
    import nncf
    import openvino as ov

    pictures = open_source(args.calibration).paths[: args.pictures]
    data = nncf.Dataset(pictures, lambda path: fit_picture(read_image(path), spec).tensor[None])
    target = model.with_name(f"nncf_{model.stem}.xml")
    ov.save_model(nncf.quantize(ov.Core().read_model(model), data, subset_size=len(pictures)), target)
    target.with_suffix(".json").write_text(spec.to_json())
    return target


def _miou(images: Path, labels: Path, contender: Contender) -> float:
    with open_backend(contender.path, contender.backend, input_hw=contender.input_hw) as backend:
        dataset = datasets.by_name(backend.spec.dataset)
        return evaluate(Segmenter(backend), datasets.pairs(dataset, images, labels), dataset).miou


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
    parser.add_argument("--calibration", type=Path, help="pictures for NNCF")
    parser.add_argument("--pictures", type=int, default=64, help="of them")
    parser.add_argument("--sizes", type=hxw, nargs="+", default=[(512, 512), (360, 480)])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--only", nargs="*", help="rows whose name contains one of these words, and the first")
    args = parser.parse_args()
    for size in args.sizes:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{compare(args, size, Path(folder)).to_table()}\n")


if __name__ == "__main__":
    main()
