"""A model's counters, in the form of Triton's statistics extension."""

from __future__ import annotations

import collections
import threading
import time
from typing import Any

from afformer.serve.jobs import Timing

_PARTS = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")
_OF_BATCHES = ("compute_input", "compute_infer", "compute_output")


class Statistics:
    """Counts and sums of nanoseconds. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count: collections.Counter[str] = collections.Counter()
        self._ns: collections.Counter[str] = collections.Counter()
        self._batches: dict[int, dict[str, list[int]]] = {}
        self._inferences = self._executions = self._last_ms = 0

    def succeeded(self, timing: Timing, rows: int) -> None:
        """Counts an answered request of `rows` rows."""
        spent = {
            "queue": timing.queue,
            "compute_input": timing.input,
            "compute_infer": timing.infer,
            "compute_output": timing.output,
        }
        with self._lock:
            self._inferences += rows
            self._last_ms = time.time_ns() // 1_000_000
            for part, ns in {"success": sum(spent.values()), **spent}.items():
                self._count[part] += 1
                self._ns[part] += ns

    def executed(self, timing: Timing) -> None:
        """Counts a batch that was run."""
        with self._lock:
            self._executions += 1
            batch = self._batches.setdefault(timing.rows, {part: [0, 0] for part in _OF_BATCHES})
            for part, ns in zip(_OF_BATCHES, (timing.input, timing.infer, timing.output), strict=True):
                batch[part][0] += 1
                batch[part][1] += ns

    def failed(self, ns: int) -> None:
        """Counts a request that was taken on and not answered."""
        with self._lock:
            self._count["fail"] += 1
            self._ns["fail"] += ns

    @property
    def seconds_per_execution(self) -> float:
        """What a batch takes on average; 0 before the first."""
        with self._lock:
            ns = sum(self._ns[part] for part in _OF_BATCHES)
            return ns / 1e9 / self._count["success"] if self._count["success"] else 0.0

    def to_json(self, name: str, version: str) -> dict[str, Any]:
        """As in a response of `v2/models/NAME/stats`."""
        with self._lock:
            return {
                "name": name,
                "version": version,
                "last_inference": self._last_ms,
                "inference_count": self._inferences,
                "execution_count": self._executions,
                "inference_stats": {part: {"count": self._count[part], "ns": self._ns[part]} for part in _PARTS},
                "batch_stats": [
                    {"batch_size": rows, **{part: {"count": count, "ns": ns} for part, (count, ns) in parts.items()}}
                    for rows, parts in sorted(self._batches.items())
                ],
            }
