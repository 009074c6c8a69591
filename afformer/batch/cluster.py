"""The Ray cluster that works: one that is named, or one of this process."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pickle
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import ray
import ray.data

from afformer.batch.parts import Part
from afformer.batch.worker import Job, PartDone, Worker
from afformer.errors import AfformerError, BackendError
from afformer.wording import first_line

_log = logging.getLogger(__name__)

_OBJECT_STORE = 256 << 20
"""Bytes of a local cluster's shared memory: only names and counts go through it."""

_PATIENCE_S = 10
_LONGEST_REASON = 300
"""Characters of an error of Ray, which may come with pages of log."""


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connects this process to a cluster, and disconnects it; one that it is connected to already stays.

    Args:
        address: `auto`, `HOST:PORT`, or None for a cluster of this process.

    Raises:
        AfformerError: There is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if ray.is_initialized():
        yield
        return
    _require_listener(address)
    local = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE}
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if address else local),
        )
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise _no_cluster(address, error) from error
    try:
        with contextlib.redirect_stdout(_WithoutRay(sys.stdout)):
            yield
    finally:
        with contextlib.redirect_stdout(io.StringIO()) as last_words:
            ray.shutdown()
        _log.info("%s", last_words.getvalue())


def _require_listener(address: str | None) -> None:
    """Refuses `HOST:PORT` where nothing listens: Ray would try for minutes."""
    host, colon, port = (address or "").rpartition(":")
    if not colon or "/" in host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str | None, error: Exception) -> AfformerError:
    return AfformerError(
        f"`address={address or 'local'}`: there is no Ray cluster to connect to ({_reason(error)}); start one with "
        "`ray start --head`, with the same versions of Python and Ray"
    )


def most_workers(needs: dict[str, float]) -> int:
    """Workers that the cluster has room for now.

    Args:
        needs: `num_cpus` and `num_gpus` of a worker, as Ray calls them.

    Raises:
        BackendError: Nothing of that kind is in the cluster.
    """
    resources = ray.cluster_resources()
    names = {"num_gpus": "GPU", "num_cpus": "CPU"}
    kind = next(kind for kind in names if needs.get(kind))
    room = int(resources.get(names[kind], 0) // needs[kind])
    if not room:
        raise BackendError(
            f"a worker needs {needs[kind]:.0f} {names[kind]}, but the Ray cluster has "
            f"{resources.get(names[kind], 0):.0f}; see what `ray status` says"
        )
    return room


def do_parts(parts: Sequence[Part], job: Job, workers: int, needs: dict[str, float]) -> Iterator[PartDone]:
    """Has a pool of workers do all parts, in any order; a part whose worker dies is done by another.

    Args:
        parts: The parts.
        job: What every worker needs to know.
        workers: Most of them at a time.
        needs: As for `most_workers`.

    Raises:
        AfformerError: The cluster failed.
    """
    _quiet_ray_data()
    pool = ray.data.ActorPoolStrategy(min_size=1, max_size=workers, initial_size=workers)
    rows = [{"part": pickle.dumps(part)} for part in parts]
    # a block is what a worker gets at a time; the job is passed by reference, for it holds the model
    data = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        _RayWorker, fn_constructor_args=(ray.put(job),), batch_size=1, batch_format="numpy", compute=pool, **needs
    )
    try:
        for row in data.iter_rows():
            yield pickle.loads(row["done"])
    except ray.exceptions.RayTaskError:  # a bug in what runs there
        raise
    except ray.exceptions.RayError as error:
        raise AfformerError(
            f"the Ray cluster failed ({_reason(error)}); run the same command again, which does what is missing"
        ) from error


class _RayWorker:
    """A `Worker` as Ray Data calls it. Ray starts it again if it dies."""

    def __init__(self, job: ray.ObjectRef) -> None:
        self._worker = Worker(ray.get(job), str(ray.get_runtime_context().get_node_id()))

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Does the parts of a batch."""
        return {"done": [pickle.dumps(self._worker.do(pickle.loads(part))) for part in batch["part"]]}


class _WithoutRay(io.TextIOBase):
    """A stream without what Ray's own thread prints, such as the log of a node that died; that is logged instead.

    Args:
        stream: Where all else goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str, /) -> int:
        """Writes or logs."""
        if threading.current_thread().name.startswith("ray_"):
            _log.info("%s", text.strip())
            return len(text)
        return self._stream.write(text)

    def flush(self) -> None:
        """Passes on what was written."""
        self._stream.flush()


def _quiet_ray_data() -> None:
    """Keeps Ray Data from writing its own progress and notes to the terminal."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _reason(error: Exception) -> str:
    return first_line(error)[:_LONGEST_REASON]
