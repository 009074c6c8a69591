"""Where an INT8 model's time goes, operator by operator, as shares of the float model's time on ONNX Runtime.

    python benchmarks/int8_floor.py FLOAT.onnx INT8.onnx [--backend openvino] [--threads 1] [--rounds 15] [--nodes 15]

The engine's own profiler times every node; the float and the INT8 model take turns, each time opened anew, and a node's
time is its median over the rounds. Three sums come first: integer products and depthwise filters, without
which nothing would be computed; and the rest, which is what a better placement could save at most. Then come the
operators by kind, and the single nodes that take most.
"""

from __future__ import annotations

import argparse
import collections
import re
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
_PRODUCTS = ("QLinearConv", "MatMulIntegerToFloat", "brgconv_avx512_I8", "brgconv_avx512_1x1_I8")
"""Kinds of operators, in ONNX Runtime's words and in OpenVINO's."""


def depthwise_nodes(model: onnx.ModelProto) -> frozenset[str]:
    """Names of the depthwise convolutions."""
    convolutions = [node for node in model.graph.node if node.op_type in ("Conv", "QLinearConv")]
    return frozenset(node.name for node in convolutions if attribute(node, "group", 1) > 1)


def part_of(time: OperatorTime, depthwise: frozenset[str]) -> str:
    """Which of the three sums an operator belongs to."""
    if time.name in depthwise or "_dw_" in time.kind:
        return DEPTHWISE
    return PRODUCTS if time.kind in _PRODUCTS else REST


def medians(rounds: Sequence[Sequence[OperatorTime]]) -> list[OperatorTime]:
    """Each node's median; nodes that OpenVINO names by a number, another one each time, count together."""
    found: dict[tuple[str, str], list[float]] = collections.defaultdict(list)
    for times in rounds:
        sums: dict[tuple[str, str], float] = collections.defaultdict(float)
        for time in times:
            sums[re.sub(r"_\d{3,}", "", time.name), time.kind] += time.seconds
        for node, seconds in sums.items():
            found[node].append(seconds)
    return [OperatorTime(name, kind, statistics.median(seconds)) for (name, kind), seconds in found.items()]


def table(
    title: str, times: Sequence[OperatorTime], key: Callable[[OperatorTime], str], whole: float, most: int
) -> str:
    """Sums by what `key` says of an operator: milliseconds, and the share of the float model's; the largest first."""
    found: collections.Counter[str] = collections.Counter()
    for time in times:
        found[key(time)] += time.seconds  # type: ignore[assignment]  # a counter counts in seconds as well
    rows = [[name, f"{seconds * 1e3:.2f}", f"{seconds / whole:.3f}"] for name, seconds in found.most_common(most)]
    return "\n".join(aligned([[title, "ms", "of float32"], *rows], left=(title,)))


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
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--nodes", type=int, default=15, help="single nodes to list")
    args = parser.parse_args()
    model, feed = feed_of(args.model)
    depthwise = depthwise_nodes(model)
    here, there = OpenOptions(threads=args.threads), OpenOptions(args.backend, threads=args.threads)
    floats, times = [], []
    for _ in range(args.rounds):
        floats.append(operator_times(args.float_model, feed, here, calls=1))
        times.append(operator_times(args.model, feed, there, calls=1))
    whole, nodes = sum(time.seconds for time in medians(floats)), medians(times)
    print(f"{Machine.here().to_text()}\nfloat32: {whole * 1e3:.1f} ms in operators")
    for title, key, most in (
        ("whole", lambda _: args.model.name, 1),
        ("part", lambda time: part_of(time, depthwise), 3),
        ("operator", lambda time: time.kind, 99),
        ("node", lambda time: f"{time.name} ({time.kind})", args.nodes),
    ):
        print(f"\n{table(title, nodes, key, whole, most)}")


if __name__ == "__main__":
    main()
