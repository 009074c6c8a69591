"""What Prometheus reads at `/metrics`."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from afformer.serve.jobs import Timing

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "afformer_requests_total", "Requests by endpoint and status.", ["endpoint", "status"], registry=registry
        )
        self._latency = Histogram(
            "afformer_request_seconds",
            "From a request's headers to its answer.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._stage = Histogram(
            "afformer_stage_seconds",
            "Time in one stage; input, infer and output are counted once a batch.",
            ["model", "stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._rows = Histogram(
            "afformer_batch_size", "Rows in use of the batches run.", ["model"], buckets=_ROWS, registry=registry
        )
        self._queue = Gauge("afformer_queue_size", "Requests that wait for a model.", ["model"], registry=registry)
        self._connections = Gauge("afformer_connections", "Open connections.", registry=registry)
        self._held = Gauge("afformer_held_bytes", "Bodies and decoded pictures in memory.", registry=registry)

    def request(self, endpoint: str, status: int, seconds: float) -> None:
        """Counts an answered request."""
        self._requests.labels(endpoint, str(status)).inc()
        self._latency.labels(endpoint).observe(seconds)

    def batch(self, model: str, timing: Timing) -> None:
        """Counts a batch."""
        self._rows.labels(model).observe(timing.rows)
        for stage, ns in (("input", timing.input), ("infer", timing.infer), ("output", timing.output)):
            self._stage.labels(model, stage).observe(ns / 1e9)

    def queued(self, model: str, timing: Timing) -> None:
        """Counts how long a request waited."""
        self.stage(model, "queue", timing.queue)

    def stage(self, model: str, stage: str, ns: int) -> None:
        """Counts one stage of a request."""
        self._stage.labels(model, stage).observe(ns / 1e9)

    def watch_queue(self, model: str, size: Callable[[], int]) -> None:
        """Reads a queue's length whenever metrics are asked for."""
        self._queue.labels(model).set_function(size)

    def forget_queue(self, model: str) -> None:
        """Ends `watch_queue`."""
        self._queue.remove(model)

    def watch_connections(self, count: Callable[[], int]) -> None:
        """Reads the number of connections whenever metrics are asked for."""
        self._connections.set_function(count)

    def watch_memory(self, held: Callable[[], int]) -> None:
        """Reads the memory budget's use whenever metrics are asked for."""
        self._held.set_function(held)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
