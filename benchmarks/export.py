"""Our static export against PyTorch's plain one, same network and weights: nodes, size, latency on ONNX Runtime.

    python benchmarks/export.py [--variant tiny] [--size 512x512] [--classes 150] [--threads 2] [--folder DIR]

Writes both models into the folder and times them with `benchmarks/latency.py`, alternating, each in its own process.
"""

from __future__ import annotations

import argparse
import collections
import platform
import tempfile
from pathlib import Path

import onnx
import torch
from latency import measure

from afformer.cli import hxw
from afformer.export.graph import OPSET
from afformer.export.onnx import build_graph
from afformer.model.network import VARIANTS, AFFormer
from afformer.spec import ModelSpec


def plain_export(network: AFFormer, input_hw: tuple[int, int], path: Path) -> None:
    """What `torch.onnx.export` makes of the reference network."""
    torch.onnx.export(
        network, (torch.zeros(1, 3, *input_hw),), path, opset_version=OPSET, external_data=False, verbose=False
    )


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
    paths = [args.folder / "plain.onnx", args.folder / "static.onnx"]
    plain_export(network, args.size, paths[0])
    onnx.save(build_graph(network, spec), paths[1])
    medians = measure(paths, args.threads, args.rounds, 10)
    print(f"{platform.machine()}, {args.threads} threads, {args.variant} {args.size[0]}x{args.size[1]}")
    for path, median in zip(paths, medians, strict=True):
        nodes = collections.Counter(node.op_type for node in onnx.load(path).graph.node)
        megabytes = path.stat().st_size / 1e6
        print(
            f"{median * 1e3:7.1f} ms  {median / medians[0]:5.3f}  {nodes.total():5} nodes  {megabytes:5.1f} MB  {path}"
        )


if __name__ == "__main__":
    main()
