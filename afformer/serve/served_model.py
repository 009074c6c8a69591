"""`ServedModel`: a loaded model with its queue, workers and statistics."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from afformer.errors import AfformerError
from afformer.runtime.backends.base import Array
from afformer.runtime.choices import Fit
from afformer.runtime.tiling import Tiling
from afformer.serve.jobs import Answer, Job, JobQueue, QueueClosed, QueueFull
from afformer.serve.metrics import Metrics
from afformer.serve.options import ServeOptions
from afformer.serve.refusal import ClientLeft, Refusal, busy
from afformer.serve.runner import Runner
from afformer.serve.statistics import Statistics

_log = logging.getLogger(__name__)


class ServedModel:
    """Answers jobs with the workers of one model.

    Args:
        name: What requests call it.
        runners: One for each worker, of the same model.
        options: Queue, waiting time and limits.
        metrics: Where batches are counted.
    """

    def __init__(self, name: str, runners: Sequence[Runner], options: ServeOptions, metrics: Metrics) -> None:
        self.name = name
        self.spec = runners[0].backend.spec
        self.description = runners[0].backend.description
        self.fit = options.open_options.fit
        self.statistics = Statistics()
        self.workers = len(runners)
        self.max_wait_s = options.max_wait_s
        self._limits = options.limits
        self._metrics = metrics
        self.queue = JobQueue(options.limits.queue, self.spec.batch, options.max_wait_s)
        self._runners = runners
        self._slide_problem = runners[0].problem_with(Fit.SLIDE)
        self._threads = [
            threading.Thread(target=self._work, args=(runner,), name=f"{name}-{number}", daemon=True)
            for number, runner in enumerate(runners)
        ]
        for thread in self._threads:
            thread.start()

    @classmethod
    def open(cls, name: str, model: Path, options: ServeOptions, metrics: Metrics) -> ServedModel:
        """Opens a model file once for each worker.

        Raises:
            AfformerError: The model cannot be opened or fails.
        """
        runners: list[Runner] = []
        try:
            while len(runners) < options.workers:
                runners.append(Runner.open(model, options.open_options))
        except BaseException:
            for runner in runners:
                runner.close()
            raise
        return cls(name, runners, options, metrics)

    def check_picture(self, size_hw: tuple[int, int], fit: Fit) -> None:
        """Refuses a picture that would cost too much, or a fit that the model does not go with.

        Raises:
            Refusal: 413 or 400.
        """
        if fit is not Fit.SLIDE:
            return
        if self._slide_problem:
            raise Refusal(400, f"fit=slide: {self._slide_problem}")
        tiles = len(Tiling.over(size_hw, self.spec.input_hw))
        if tiles > self._limits.tiles:
            raise Refusal(
                413,
                f"fit=slide: a picture of {size_hw[1]}x{size_hw[0]} takes {tiles} tiles, at most {self._limits.tiles} "
                "are allowed; send a smaller one or use fit=stretch or fit=pad",
            )

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Holds a place in the queue while a request's input is decoded, and puts its job there.

        Raises:
            Refusal: 503, the queue is full; 400, the model is being unloaded.
        """
        try:
            with self.queue.place():
                yield
        except QueueFull:
            message = f"model '{self.name}': {self._limits.queue} requests wait already; try again later"
            raise busy(message, self._expected_s()) from None
        except QueueClosed:
            raise Refusal(400, f"model '{self.name}' is not ready: it is being unloaded") from None

    def put(self, value: Array, fit: Fit | None = None) -> Job:
        """Queues a request's input, within `place`."""
        job = Job(value, fit)
        self.queue.put(job)
        return job

    async def answer(self, job: Job, deadline_s: float, left: Callable[[], Awaitable[object]]) -> Answer:
        """Waits for a job's answer, for the deadline, or for the client to leave, whichever is first.

        Args:
            job: What `put` gave.
            deadline_s: Seconds to wait.
            left: Returns when the client is gone.

        Raises:
            Refusal: 503, the deadline has passed; 500, the model failed.
            ClientLeft: Nobody waits for the answer.
        """
        gone = asyncio.create_task(_finished(left))
        future = asyncio.wrap_future(job.future)
        try:
            await asyncio.wait((future, gone), timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED)
            if future.done():
                return _result(future, self.name)
            if gone.done():
                raise ClientLeft
            raise busy(f"model '{self.name}': no answer within {deadline_s:g} s; try again later", self._expected_s())
        finally:
            gone.cancel()
            if self.queue.withdraw(job):
                self.statistics.failed(time.perf_counter_ns() - job.since)

    def close(self) -> None:
        """Answers what waits, then ends the workers and closes the model."""
        self.queue.close()
        for thread in self._threads:
            thread.join()
        for runner in self._runners:
            runner.close()

    def _expected_s(self) -> float:
        """What the queue in front of a new request takes, about."""
        batches = len(self.queue) / self.spec.batch / self.workers
        return batches * self.statistics.seconds_per_execution

    def _work(self, runner: Runner) -> None:
        while jobs := self.queue.take():
            self._run(runner, jobs)

    def _run(self, runner: Runner, jobs: Sequence[Job]) -> None:
        try:
            answers = runner.run(jobs)
        except Exception as error:
            # One request must not spoil the others of its batch.
            if len(jobs) > 1:
                for job in jobs:
                    self._run(runner, [job])
                return
            _log.error("model failed", extra={"model": self.name, "error": repr(error)})
            self.statistics.failed(time.perf_counter_ns() - jobs[0].since)
            jobs[0].future.set_exception(error)
            return
        self.statistics.executed(answers[0].timing)
        self._metrics.batch(self.name, answers[0].timing)
        for job, answer in zip(jobs, answers, strict=True):
            self.statistics.succeeded(answer.timing, job.rows)
            self._metrics.queued(self.name, answer.timing)
            job.future.set_result(answer)


async def _finished(left: Callable[[], Awaitable[object]]) -> None:
    await left()


def _result(future: asyncio.Future[Answer], name: str) -> Answer:
    try:
        return future.result()
    except AfformerError as error:
        # Its text may name a file of this machine.
        raise Refusal(500, f"model '{name}' failed; the server's log says why") from error
