"""Which operators the time goes to, as the engine itself measures it."""

from __future__ import annotations

import collections
import importlib.util
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from afformer.errors import BackendError
from afformer.runtime.backends.base import Array

_WARM_UP = 3
_CAST_AWAY, _BLOCKED = "InsertedPrecisionFreeCast_", "_nchwc"
"""What ONNX Runtime adds to a tensor's name when it computes it in float32, or with blocks of channels."""


class OperatorTime(NamedTuple):
    """What one operator of the graph that the engine made of the model costs.

    Attributes:
        name: Its name in the graph.
        kind: What it computes, in the engine's words.
        seconds: Of one call of the model.
    """

    name: str
    kind: str
    seconds: float


def has_profile(backend: str, device: str | None) -> bool:
    """Whether the engine tells what single operators cost."""
    return backend in _PROFILERS and device in (None, "cpu")


def operator_times(
    path: Path, backend: str, feed: Array, *, device: str | None = None, threads: int = 0, calls: int = 20
) -> list[OperatorTime]:
    """Runs a model with the engine's profiler.

    Args:
        path: The model file.
        backend: The backend's name.
        feed: The model's input tensor.
        device: Where to run; None is the CPU.
        threads: CPU threads; 0 leaves the choice to the engine.
        calls: Calls to take the mean of; a few more warm up.

    Returns:
        All operators, the dearest first.

    Raises:
        BackendError: The engine has no profile, or cannot open the model.
    """
    if not has_profile(backend, device):
        raise BackendError(
            f"{backend} on {device or 'cpu'} does not tell what single operators cost; {PROFILED} on cpu do"
        )
    return sorted(_PROFILERS[backend](path, feed, threads, calls), key=lambda time: -time.seconds)


def _onnxruntime(path: Path, feed: Array, threads: int, calls: int) -> list[OperatorTime]:
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        for _ in range(_WARM_UP + calls):
            session.run(None, {name: feed})
        events = json.loads(Path(session.end_profiling()).read_text())
    return _from_events(events, calls, _names_in_file(path))


def _names_in_file(path: Path) -> dict[str, str]:
    """Node names by the tensor they put out, for ONNX Runtime names the nodes that it rewrites after their tensors."""
    if importlib.util.find_spec("onnx") is None:  # the names are less telling then, the times the same
        return {}
    import onnx

    nodes = onnx.load(path, load_external_data=False).graph.node
    return {output: node.name for node in nodes for output in node.output}


def _from_events(events: list[dict[str, Any]], calls: int, names: dict[str, str]) -> list[OperatorTime]:
    """From ONNX Runtime's events, in the order of time: the last `calls` of every node count."""
    suffix = "_kernel_time"
    found: dict[str, list[float]] = collections.defaultdict(list)
    kinds: dict[str, str] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(suffix):
            name = event["name"][: -len(suffix)]
            found[name].append(event["dur"] * 1e-6)
            kinds[name] = event["args"]["op_name"]
    return [
        OperatorTime(
            names.get(name.removeprefix(_CAST_AWAY).removesuffix(_BLOCKED), name),
            kinds[name],
            sum(seconds[-calls:]) / calls,
        )
        for name, seconds in found.items()
    ]


def _openvino(path: Path, feed: Array, threads: int, calls: int) -> list[OperatorTime]:
    import openvino as ov

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads),
        "INFERENCE_PRECISION_HINT": "f32",
        "PERF_COUNT": "YES",
    }
    request = ov.Core().compile_model(str(path), "CPU", settings).create_infer_request()
    seconds: collections.Counter[tuple[str, str]] = collections.Counter()
    for call in range(_WARM_UP + calls):
        request.infer({0: feed}, share_inputs=True)
        for node in request.profiling_info if call >= _WARM_UP else ():
            seconds[node.node_name, node.exec_type] += node.real_time.total_seconds()
    return [OperatorTime(name, kind, total / calls) for (name, kind), total in seconds.items() if total]


_PROFILERS: dict[str, Callable[[Path, Array, int, int], list[OperatorTime]]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}
PROFILED = " and ".join(_PROFILERS)
"""Engines that tell what single operators cost, for people."""
