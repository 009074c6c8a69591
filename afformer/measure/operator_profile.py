"""Which operators the time goes to, as the backend itself measures it."""

from __future__ import annotations

import collections
import dataclasses
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from afformer.errors import BackendError
from afformer.runtime.backends.base import Array
from afformer.runtime.backends.registry import backend_name
from afformer.runtime.choices import Device
from afformer.runtime.opening import DEFAULT, OpenOptions
from afformer.telemetry import without_telemetry
from afformer.temporary import working_folder

_WARM_UP = 3
_CAST_AWAY, _BLOCKED = "InsertedPrecisionFreeCast_", "_nchwc"
"""What ONNX Runtime adds to a tensor's name when it computes it in float32, or with blocks of channels."""


@dataclasses.dataclass(frozen=True)
class OperatorTime:
    """What one operator costs, in the graph that the backend made of the model.

    Attributes:
        name: Its name in the graph.
        kind: What it computes, in the backend's words.
        seconds: Of one call of the model.
    """

    name: str
    kind: str
    seconds: float


def has_profile(backend: str, device: Device | None) -> bool:
    """Whether the backend measures single operators."""
    return backend in _PROFILERS and device in (None, Device.CPU)


def operator_times(
    path: Path, feed: Array, open_options: OpenOptions = DEFAULT, *, calls: int = 20
) -> list[OperatorTime]:
    """Runs a model with the backend's profiler.

    Args:
        path: The model file.
        feed: The model's input tensor.
        open_options: Backend, device and threads.
        calls: Calls to take the mean of; a few more warm up.

    Returns:
        All operators, the slowest first.

    Raises:
        BackendError: The backend has no profiler, or cannot open the model.
    """
    backend, device = open_options.backend or backend_name(path), open_options.device
    if not has_profile(backend, device):
        where = (device or Device.CPU).value
        raise BackendError(f"{backend} on {where} does not measure single operators; {PROFILED} on cpu do")
    times = _PROFILERS[backend](path, feed, open_options.threads, calls)
    return sorted(times, key=lambda time: -time.seconds)


def _onnxruntime(path: Path, feed: Array, threads: int, calls: int) -> list[OperatorTime]:
    with without_telemetry():
        import onnxruntime as ort

    with working_folder(path) as folder:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.enable_profiling = True
        options.profile_file_prefix = str(folder / "profile")
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        for _ in range(_WARM_UP + calls):
            session.run(None, {name: feed})
        profile = Path(session.end_profiling())
        try:
            events = json.loads(profile.read_text())
        except ValueError as error:  # ONNX Runtime does not say that it could not write all of it
            raise BackendError(
                f"{path}: ONNX Runtime wrote no whole profile into {folder.parent} ({error}); is the disk full? make "
                "room, or set TMPDIR to another folder"
            ) from error
    return _from_events(events, calls, _names_in_file(path))


def _names_in_file(path: Path) -> dict[str, str]:
    """Node names by their output tensors, after which ONNX Runtime names the nodes that it rewrites."""
    if importlib.util.find_spec("onnx") is None:  # the times are the same, only the names say less
        return {}
    import onnx

    nodes = onnx.load(path, load_external_data=False).graph.node
    return {output: node.name for node in nodes for output in node.output}


def _from_events(events: list[dict[str, Any]], calls: int, names: dict[str, str]) -> list[OperatorTime]:
    """Means over the last `calls` events of every node; ONNX Runtime lists events in order of time."""
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
"""Backends that measure single operators, for people."""
