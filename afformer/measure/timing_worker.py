"""The process that `afformer.measure.timing` starts for one model: lines in, lines of JSON out.

The first line is a pickled `Case`, in hexadecimal digits; every other is a question in JSON, `[name, argument, ...]`.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from afformer.errors import AfformerError
from afformer.images import read_image
from afformer.measure.operator_profile import operator_times
from afformer.measure.timing import Case
from afformer.runtime.backends.base import Array, Backend, input_tensor
from afformer.runtime.backends.registry import backend_name
from afformer.runtime.choices import Fit
from afformer.runtime.segmenter import Segmenter


def serve() -> None:
    """Answers until there are no more questions.

    Backends' own output goes to stderr, so that it cannot be mistaken for an answer.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    case: Case = pickle.loads(bytes.fromhex(sys.stdin.readline()))
    try:
        for answer in _answers(case):
            answers.write(json.dumps(answer) + "\n")
    except AfformerError as error:
        answers.write(json.dumps({"error": str(error)}) + "\n")


def _answers(case: Case) -> Iterator[dict[str, Any]]:
    if case.plugin:
        importlib.import_module(case.plugin)
    start = time.perf_counter()
    with case.open_options.open_backend(case.path) as backend:
        feed = _feed(backend)
        backend.run(feed)
        yield {"description": backend.description, "load_seconds": time.perf_counter() - start}
        model = _Model(case, backend, feed)
        for line in sys.stdin:
            question, *arguments = json.loads(line)
            yield {"answer": _QUESTIONS[question](model, *arguments)}


def _feed(backend: Backend) -> Array:
    _, shape, dtype = input_tensor(backend.spec)
    random = np.random.default_rng(0)
    return random.integers(0, 256, shape, np.uint8) if dtype == np.uint8 else random.standard_normal(shape, np.float32)


class _Model:
    """What can be asked of the opened model."""

    def __init__(self, case: Case, backend: Backend, feed: Array) -> None:
        self._case, self._backend, self._feed = case, backend, feed
        self._frames: Callable[[], tuple[float, float, float]] | None = None

    def burst(self, calls: int) -> list[float]:
        """Seconds of each call; one more warms up."""
        self._backend.run(self._feed)
        seconds = []
        for _ in range(calls):
            start = time.perf_counter()
            self._backend.run(self._feed)
            seconds.append(time.perf_counter() - start)
        return seconds

    def frames(self, calls: int, picture: str) -> list[tuple[float, float, float]]:
        """Seconds before, in and after the network for each call on a batch of the picture; one more warms up."""
        self._frames = self._frames or _frame_timer(self._backend, self._case.open_options.fit, Path(picture))
        self._frames()
        return [self._frames() for _ in range(calls)]

    def facts(self) -> dict[str, Any]:
        """What stays the same from call to call."""
        spec = self._backend.spec
        return {
            "backend": self._case.open_options.backend or backend_name(self._case.path),
            "precision": spec.precision.value,
            "input_hw": spec.input_hw,
            "batch": spec.batch,
            "peak_bytes": peak_bytes(),
        }

    def operators(self, calls: int) -> list[tuple[str, str, float]]:
        """The fields of every `OperatorTime`."""
        times = operator_times(self._case.path, self._feed, self._case.open_options, calls=calls)
        return [dataclasses.astuple(time) for time in times]


_QUESTIONS: dict[str, Callable[..., Any]] = {
    "burst": _Model.burst,
    "frames": _Model.frames,
    "facts": _Model.facts,
    "operators": _Model.operators,
}


class Stopwatch(Backend):
    """A backend that remembers when it was last called and when it answered."""

    def __init__(self, inner: Backend) -> None:
        self.spec, self.description, self._inner = inner.spec, inner.description, inner
        self.started = self.answered = 0.0

    def _run(self, image: Array) -> Array:
        self.started = time.perf_counter()
        answer = self._inner.run(image)
        self.answered = time.perf_counter()
        return answer


def _frame_timer(backend: Backend, fit: Fit, picture: Path) -> Callable[[], tuple[float, float, float]]:
    """A function that segments a picture as users do, and says how long each part took."""
    cv2.setNumThreads(1)  # as `infer` has it
    watch = Stopwatch(backend)
    segment = Segmenter(watch, fit=fit)
    images = [read_image(picture)] * backend.spec.batch

    def timed() -> tuple[float, float, float]:
        start = time.perf_counter()
        segment.segment_batch(images)
        end = time.perf_counter()
        return watch.started - start, watch.answered - watch.started, end - watch.answered

    return timed


def peak_bytes() -> int | None:
    """The most memory that this process has had at a time; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would also count what the parent had when it started this process.
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
