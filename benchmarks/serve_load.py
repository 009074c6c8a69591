"""Throughput of the server against what its segmenter does alone in a loop, by turns, every answer compared.

    python benchmarks/serve_load.py [MODEL] --threads 1 --connections 1,16 --seconds 5 --rounds 5

Pictures: from a JPEG's bytes to class ids at its size, `Segmenter(path)` against `/v1/segment?output=raw`.
Tensors: from an input tensor to the model's answer, `Backend.run` against `v2/models/NAME/infer`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from afformer.assets import MODEL, pictures
from afformer.opencv import single_threaded_opencv
from afformer.runtime.backends.base import input_tensor
from afformer.runtime.segmenter import Segmenter

NAMES = {"float32": "FP32", "uint8": "UINT8", "int32": "INT32"}


class Work(NamedTuple):
    """One task, as a call and as a request."""

    title: str
    alone: Callable[[], bytes]
    path: str
    body: bytes
    headers: dict[str, str]


class Load(NamedTuple):
    """What a number of connections got."""

    rate: float
    latencies_ms: list[float]
    statuses: Counter[int]
    wrong: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", default=MODEL)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--connections", default="1,16")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("pictures", "tensors"))
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.connections.split(",")]
    more = ["--threads", str(arguments.threads), "--workers", str(arguments.workers), "--queue", "32"]
    with single_threaded_opencv(), Segmenter(arguments.model, threads=arguments.threads) as segmenter:
        server, port = start(["m=" + str(arguments.model), *more])
        try:
            for work in (picture_work(segmenter), tensor_work(segmenter)):
                if arguments.only in (None, work.title):
                    measure(work, port, counts, arguments, server.pid)
        finally:
            server.terminate()
    print(f"server ended with {server.wait()}")


def measure(work: Work, port: int, counts: list[int], arguments: argparse.Namespace, pid: int) -> None:
    expected = work.alone()
    ratios: dict[int, list[float]] = {count: [] for count in counts}
    loads: dict[int, list[Load]] = {count: [] for count in counts}
    memory = [resident(pid)]
    for _ in range(arguments.rounds):
        for count in counts:
            before = loop_rate(work.alone, arguments.seconds / 2)
            load = put_load(work, port, count, arguments.seconds, expected)
            after = loop_rate(work.alone, arguments.seconds / 2)
            ratios[count].append(2 * load.rate / (before + after))
            loads[count].append(load)
            memory.append(resident(pid))
    for count in counts:
        latencies = sorted(ms for load in loads[count] for ms in load.latencies_ms)
        p50, p99 = latencies[len(latencies) // 2], latencies[int(0.99 * len(latencies))]
        statuses = sum((load.statuses for load in loads[count]), Counter())
        print(
            f"{work.title}, {count} connections: {statistics.median(ratios[count]):.2f} of the loop "
            f"({', '.join(f'{ratio:.2f}' for ratio in ratios[count])}), "
            f"{statistics.median(load.rate for load in loads[count]):.1f} a second, "
            f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, "
            f"statuses {dict(statuses)}, wrong answers {sum(load.wrong for load in loads[count])}"
        )
    print(f"{work.title}, server memory in MiB: {', '.join(f'{mib:.0f}' for mib in memory)}")


def loop_rate(call: Callable[[], bytes], seconds: float) -> float:
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        call()
        calls += 1
    return calls / (time.perf_counter() - start)


def put_load(work: Work, port: int, connections: int, seconds: float, expected: bytes) -> Load:
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    wrong: list[int] = []
    start = time.perf_counter()

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while time.perf_counter() - start < seconds:
            sent = time.perf_counter()
            connection.request("POST", work.path, work.body, work.headers)
            response = connection.getresponse()
            content = response.read()
            statuses[response.status] += 1
            if response.status == 200:
                latencies.append(1000 * (time.perf_counter() - sent))
                if not content.endswith(expected):
                    wrong.append(1)
            else:
                time.sleep(0.05)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(len(latencies) / (time.perf_counter() - start), latencies, statuses, len(wrong))


def picture_work(segmenter: Segmenter) -> Work:
    path = pictures()[0]
    query = "/v1/segment?output=raw"
    return Work("pictures", lambda: segmenter(path).tobytes(), query, path.read_bytes(), {})


def tensor_work(segmenter: Segmenter) -> Work:
    name, shape, dtype = input_tensor(segmenter.spec)
    values = np.random.default_rng(0).uniform(0, 2, shape).astype(dtype)
    size = {"binary_data_size": values.nbytes}
    head = {
        "inputs": [{"name": name, "datatype": NAMES[dtype.name], "shape": list(shape), "parameters": size}],
        "parameters": {"binary_data_output": True},
    }
    text = json.dumps(head).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    body = text + values.tobytes()
    return Work("tensors", lambda: segmenter.backend.run(values).tobytes(), "/v2/models/m/infer", body, headers)


def start(arguments: list[str]) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-c", "from afformer.cli import main; main()", "serve", "--port", "0", *arguments]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    return server, int(server.stdout.readline().rpartition(":")[2])


def resident(pid: int) -> float:
    """MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
