"""`Runner`: one opened model that runs batches of jobs, for one thread."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from afformer.errors import BackendError
from afformer.runtime.backends.base import Array, Backend, input_tensor
from afformer.runtime.choices import Fit
from afformer.runtime.opening import OpenOptions
from afformer.runtime.segmenter import Segmenter
from afformer.serve.jobs import Answer, Job, Timing


class Runner:
    """Runs jobs on a model. Keeps buffers, so one runner serves one thread.

    Args:
        backend: The opened model, which the runner closes.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = _TimedBackend(backend)
        self._segmenters: dict[Fit, Segmenter] = {}
        _, shape, dtype = input_tensor(backend.spec)
        self._feed: Array = np.zeros(shape, dtype)

    @classmethod
    def open(cls, model: Path, options: OpenOptions) -> Runner:
        """Opens a model file and runs it once, so that the first request is not the slow one.

        Raises:
            AfformerError: The model cannot be opened or fails.
        """
        runner = cls(options.open_backend(model))
        try:
            runner._segmenter(options.fit)
            runner._backend.run(runner._feed)
        except BaseException:
            runner.close()
            raise
        return runner

    @property
    def backend(self) -> Backend:
        """The opened model."""
        return self._backend

    def problem_with(self, fit: Fit) -> str | None:
        """Why the model does not go with a fit, if it does not."""
        try:
            self._segmenter(fit)
        except BackendError as error:
            return str(error)
        return None

    def run(self, jobs: Sequence[Job]) -> list[Answer]:
        """Runs jobs of one fit that fill at most one batch.

        Raises:
            AfformerError: The model failed.
        """
        start = time.perf_counter_ns()
        self._backend.reset()
        values = self._run_rows(jobs) if jobs[0].fit is None else self._run_pictures(jobs, jobs[0].fit)
        total = time.perf_counter_ns() - start
        before, network = self._backend.began - start, self._backend.ran
        rows = sum(job.rows for job in jobs)
        return [
            Answer(value, Timing(start - job.since, before, network, total - before - network, rows))
            for job, value in zip(jobs, values, strict=True)
        ]

    def close(self) -> None:
        """Closes the model."""
        self._backend.close()

    def _run_rows(self, jobs: Sequence[Job]) -> list[Array]:
        """The model's own answer to each job's rows; rows of the batch that are not in use repeat the first."""
        ends = np.cumsum([job.rows for job in jobs])
        for job, end in zip(jobs, ends, strict=True):
            self._feed[end - job.rows : end] = job.value
        self._feed[ends[-1] :] = self._feed[0]
        output = self._backend.run(self._feed)
        return [output[end - job.rows : end].copy() for job, end in zip(jobs, ends, strict=True)]

    def _run_pictures(self, jobs: Sequence[Job], fit: Fit) -> list[Array]:
        return list(self._segmenter(fit).segment_batch([job.value for job in jobs]))

    def _segmenter(self, fit: Fit) -> Segmenter:
        if fit not in self._segmenters:
            self._segmenters[fit] = Segmenter(self._backend, fit=fit)
        return self._segmenters[fit]


class _TimedBackend(Backend):
    """A backend that notes when it began and how long it ran."""

    def __init__(self, inner: Backend) -> None:
        self.spec, self.description = inner.spec, inner.description
        self._inner = inner
        self.reset()

    def reset(self) -> None:
        self.began = self.ran = 0

    def _run(self, image: Array) -> Array:
        start = time.perf_counter_ns()
        self.began = self.began or start
        output = self._inner.run(image)
        self.ran += time.perf_counter_ns() - start
        return output

    def _close(self) -> None:
        self._inner.close()
