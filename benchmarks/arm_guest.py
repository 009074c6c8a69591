"""The part of `arm.py` that runs on the emulated processor; it needs onnxruntime and numpy alone.

    python arm_guest.py WORK

WORK holds `jobs.json`, a list of jobs: `model`, `feeds` (an .npz), `out` (an .npz to write), `calls`, and `optimized`,
where ONNX Runtime writes the graph that it runs, or null; with `as_is` the graph is not optimized again. Every call is
between two marks of `arm_count.c`.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

MARK = 5000
"""A system call that no kernel has; `arm_count.c` knows it."""


def run(job: dict[str, Any], folder: Path, libc: ctypes.CDLL) -> None:
    """One model: its outputs on each of the feeds; every call reads and writes memory that is there already."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if job["as_is"]:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if job["optimized"]:
        options.optimized_model_filepath = str(folder / job["optimized"])
    session = ort.InferenceSession(str(folder / job["model"]), options, providers=["CPUExecutionProvider"])
    with np.load(folder / job["feeds"]) as feeds:
        bound = session.io_binding()
        for node in session.get_inputs():
            bound.bind_ortvalue_input(node.name, ort.OrtValue.ortvalue_from_numpy(feeds[node.name]))
    for node in session.get_outputs():
        bound.bind_output(node.name)
    session.run_with_iobinding(bound)  # finds the shapes of the outputs, and warms up
    made = dict(zip([node.name for node in session.get_outputs()], bound.get_outputs(), strict=True))
    for name, value in made.items():
        bound.bind_ortvalue_output(name, value)
    for _ in range(job["calls"]):
        libc.syscall(MARK)
        session.run_with_iobinding(bound)
        libc.syscall(MARK)
    np.savez(folder / job["out"], **{name: value.numpy() for name, value in made.items()})


def main() -> None:
    folder = Path(sys.argv[1])
    libc = ctypes.CDLL(None)
    for number, job in enumerate(json.loads((folder / "jobs.json").read_text())):
        run(job, folder, libc)
        print(number, flush=True)


if __name__ == "__main__":
    main()
