"""Jobs that wait for a model, and the bounded queue they wait in."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import threading
import time
from collections import deque
from collections.abc import Iterator

from afformer.runtime.backends.base import Array
from afformer.runtime.choices import Fit


@dataclasses.dataclass(frozen=True)
class Timing:
    """Nanoseconds that a job spent, and how many rows were run with it.

    Attributes:
        queue: Waiting for a worker and for others to fill the batch.
        input: Before the network: copying or pre-processing, of the whole batch.
        infer: In the network.
        output: After it: copying or post-processing, of the whole batch.
        rows: Rows of the batch that were in use.
    """

    queue: int
    input: int
    infer: int
    output: int
    rows: int


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a model made of a job: `(n, ...)` output rows, or an `(H, W)` class map."""

    value: Array
    timing: Timing


@dataclasses.dataclass(eq=False)
class Job:
    """One request's work.

    Attributes:
        value: `(n, ...)` rows of the model's input tensor, or an `(H, W, 3)` uint8 RGB picture.
        fit: How the picture is brought to the input size; None for rows of the input tensor.
        future: Gets the answer; cancelled by a client that left.
        since: When it was queued, by `time.perf_counter_ns`.
    """

    value: Array
    fit: Fit | None = None
    future: concurrent.futures.Future[Answer] = dataclasses.field(default_factory=concurrent.futures.Future)
    since: int = 0

    @property
    def rows(self) -> int:
        """Rows of the batch that it takes."""
        return len(self.value) if self.fit is None else 1


class QueueFull(Exception):  # noqa: N818 - as queue.Full
    """The queue is full."""


class QueueClosed(Exception):  # noqa: N818
    """The model is being unloaded."""


class JobQueue:
    """Jobs in order of arrival, handed out in batches of one kind.

    Args:
        places: Jobs that may wait.
        batch: Rows that a batch holds.
        max_wait_s: Seconds for which an incomplete batch waits for more, from its first job's arrival.
    """

    def __init__(self, places: int, batch: int, max_wait_s: float) -> None:
        self._places, self._batch, self._max_wait_s = places, batch, max_wait_s
        self._waiting: deque[Job] = deque()
        self._reserved = 0
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Holds a place for a job that is being prepared, so that no work is put into one that finds no place.

        Raises:
            QueueFull, QueueClosed: There is none.
        """
        with self._changed:
            if self._closed:
                raise QueueClosed
            if len(self._waiting) + self._reserved >= self._places:
                raise QueueFull
            self._reserved += 1
        try:
            yield
        finally:
            with self._changed:
                self._reserved -= 1

    def put(self, job: Job) -> None:
        """Adds a job; its maker holds a place, and gives it back now that the job takes it.

        Raises:
            QueueClosed: It was not added.
        """
        with self._changed:
            if self._closed:
                raise QueueClosed
            job.since = time.perf_counter_ns()
            self._waiting.append(job)
            self._changed.notify()

    def withdraw(self, job: Job) -> bool:
        """Takes back a job that no worker has begun, whose place is free at once; tells whether it could."""
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)
            withdrawn = job.future.cancel()
            self._changed.notify_all()
            return withdrawn

    def take(self) -> list[Job]:
        """Waits for jobs that can be run together; none means that the queue is closed and empty."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return []
                batch = self._gather()
                # The notice of a job that this worker did not take was for another.
                self._changed.notify()
                if batch:
                    return batch

    def close(self) -> None:
        """Takes no more jobs; what waits is still handed out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _gather(self) -> list[Job]:
        first = self._waiting.popleft()
        batch = [first]
        until = first.since / 1e9 + self._max_wait_s
        self._add_to(batch)
        while batch and not self._closed and not self._is_full(batch):
            left = until - time.perf_counter()
            if left <= 0 or not self._changed.wait(left):
                break
            batch = [job for job in batch if not job.future.cancelled()]
            self._add_to(batch)
        return [job for job in batch if job.future.set_running_or_notify_cancel()]

    def _is_full(self, batch: list[Job]) -> bool:
        if batch[0].fit is Fit.SLIDE:  # its tiles fill the model's batch
            return True
        return sum(job.rows for job in batch) >= self._batch

    def _add_to(self, batch: list[Job]) -> None:
        """Moves what goes with a batch, and fits into it, out of the queue, in order."""
        for job in [job for job in self._waiting if batch and job.fit is batch[0].fit]:
            if self._is_full(batch) or sum(other.rows for other in batch) + job.rows > self._batch:
                return
            self._waiting.remove(job)
            batch.append(job)
