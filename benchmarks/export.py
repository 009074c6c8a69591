"""Our static export against PyTorch's plain one, same network and weights: nodes, size, latency on ONNX Runtime.

    python benchmarks/export.py [--variant tiny] [--size 512x512] [--classes 150] [--threads 2] [--folder DIR]

Writes both models into the folder and times them in turns, each in its own process.
"""

from __future__ import annotations

import argparse
import collections
import platform
import tempfile
from pathlib import Path

import onnx
import torch

from afformer.commands.options import hxw
from afformer.export.choices import OPSET
from afformer.export.onnx_graph import build_graph
from afformer.measure.timing import Case, time_models
from afformer.model.network import VARIANTS, AFFormer
from afformer.runtime.opening import OpenOptions
from afformer.spec import METADATA_KEY, ModelSpec


def plain_export(network: AFFormer, spec: ModelSpec, path: Path) -> Path:
    """Writes what `torch.onnx.export` makes of the reference network, with our spec so that our backends open it."""
    example = torch.zeros(1, 3, *spec.input_hw)
    torch.onnx.export(
        network,
        (example,),
        path,
        opset_version=OPSET,
        external_data=False,
        verbose=False,
        input_names=["image"],
        output_names=["logits"],
    )
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.save(model, path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--variant", choices=VARIANTS, default="tiny")
    parser.add_argument("--size", type=hxw, default=(512, 512))
    parser.add_argument("--classes", type=int, default=150)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.mkdtemp()))
    args = parser.parse_args()
    torch.manual_seed(0)
    network = AFFormer(VARIANTS[args.variant], args.classes).eval()
    names = tuple(f"class {i}" for i in range(args.classes))
    spec = ModelSpec(args.variant, args.size, names, ((0, 0, 0),) * args.classes)
    paths = [plain_export(network, spec, args.folder / "plain.onnx"), args.folder / "static.onnx"]
    onnx.save(build_graph(network, spec), paths[1])
    cases = [Case(path, OpenOptions(threads=args.threads)) for path in paths]
    timings = time_models(cases, rounds=args.rounds, calls=10)
    print(f"{platform.machine()}, {args.threads} threads, {args.variant} {args.size[0]}x{args.size[1]}")
    for path, timing in zip(paths, timings, strict=True):
        nodes = collections.Counter(node.op_type for node in onnx.load(path).graph.node).total()
        size = f"{path.stat().st_size / 1e6:5.1f} MB"
        print(f"{timing.seconds * 1e3:7.1f} ms  {timing.ratio:5.3f}  {nodes:5} nodes  {size}  {path}")


if __name__ == "__main__":
    main()
