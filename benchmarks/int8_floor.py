"""Where an INT8 model's time goes, operator by operator, as shares of the float model's time on ONNX Runtime.

    python benchmarks/int8_floor.py FLOAT.onnx INT8.onnx [--backend openvino] [--threads 1] [--rounds 7] [--nodes 15]

The engine's own profiler times the operators; the float and the INT8 model take turns, and figures are medians over the
rounds. Three sums come first: the integer products, without which nothing would be computed; depthwise
filters; and the rest, which is what a better placement could save at most. Then come the operators by
kind, and the single nodes that take most.
"""

from __future__ import annotations

import argparse
import collections
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx

from afformer.measure.machine import Machine
from afformer.measure.operator_profile import OperatorTime, operator_times
from afformer.measure.tables import aligned
from afformer.onnx_file import read_onnx_file
from afformer.quantize.lowering.graph import attribute
from afformer.runtime.backends.base import Array, input_tensor
from afformer.runtime.opening import OpenOptions

PRODUCTS, DEPTHWISE, REST = "integer products", "depthwise filters", "the rest"
_PRODUCTS = ("QLinearConv", "MatMulIntegerToFloat", "_i8", "_I8")
"""In ONNX Runtime's names of kinds, and in OpenVINO's."""

Kinds = dict[str, float]


def depthwise_nodes(model: onnx.ModelProto) -> frozenset[str]:
    """Names of the depthwise convolutions."""
    convolutions = [node for node in model.graph.node if node.op_type in ("Conv", "QLinearConv")]
    return frozenset(node.name for node in convolutions if attribute(node, "group", 1) > 1)


def part_of(time: OperatorTime, depthwise: frozenset[str]) -> str:
    """Which of the three sums an operator belongs to."""
    if time.name in depthwise or "_dw" in time.kind.lower():
        return DEPTHWISE
    return PRODUCTS if any(word in time.kind for word in _PRODUCTS) else REST


def summed(times: Sequence[OperatorTime], key: Callable[[OperatorTime], str]) -> Kinds:
    """Seconds by what `key` says of an operator."""
    found: dict[str, float] = collections.defaultdict(float)
    for time in times:
        found[key(time)] += time.seconds
    return found


def shares(rounds: Sequence[tuple[float, Kinds]]) -> list[tuple[str, float, float]]:
    """Name, median seconds, and median share of the float model's seconds in the same round; the largest first."""
    names = {name for _, kinds in rounds for name in kinds}
    rows = [
        (
            name,
            statistics.median(kinds.get(name, 0.0) for _, kinds in rounds),
            statistics.median(kinds.get(name, 0.0) / whole for whole, kinds in rounds),
        )
        for name in names
    ]
    return sorted(rows, key=lambda row: -row[1])


def table(title: str, rows: Sequence[tuple[str, float, float]]) -> str:
    """A table for people."""
    lines = [[name, f"{seconds * 1e3:.2f}", f"{share:.3f}"] for name, seconds, share in rows]
    return "\n".join(aligned([[title, "ms", "of float32"], *lines], left=(title,)))


def feed_of(path: Path) -> tuple[onnx.ModelProto, Array]:
    """A model, and noise as its input: time does not depend on the picture."""
    model, spec = read_onnx_file(path)
    return model, np.random.default_rng(0).standard_normal(input_tensor(spec).shape, np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("float_model", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--backend", help="of the INT8 model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--nodes", type=int, default=15, help="single nodes to list")
    args = parser.parse_args()
    model, feed = feed_of(args.model)
    depthwise = depthwise_nodes(model)
    here, there = OpenOptions(threads=args.threads), OpenOptions(args.backend, threads=args.threads)
    rounds = [
        (
            sum(time.seconds for time in operator_times(args.float_model, feed, here, calls=10)),
            operator_times(args.model, feed, there, calls=10),
        )
        for _ in range(args.rounds)
    ]
    print(Machine.here().to_text())
    print(f"float32: {statistics.median(whole for whole, _ in rounds) * 1e3:.1f} ms in operators")
    keys: dict[str, Callable[[OperatorTime], str]] = {
        "sum": lambda time: part_of(time, depthwise),
        "whole": lambda _: args.model.name,
        "operator": lambda time: time.kind,
        "node": lambda time: f"{time.name} ({time.kind})",
    }
    for title, key in keys.items():
        rows = shares([(whole, summed(times, key)) for whole, times in rounds])
        print(f"\n{table(title, rows[: args.nodes] if title == 'node' else rows)}")


if __name__ == "__main__":
    main()
