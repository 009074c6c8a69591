"""`segment_many`: pictures without number -> Parquet, on the machines of a Ray cluster.

Pictures are cut into parts. A part is what a worker does at a time and what becomes one file, whose name follows from
its pictures, and which is there as a whole or not at all. So a part that is done twice, because a node died or did not
answer, is still in the results once, and a rerun sees what is missing from what is there.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from afformer.batch import cluster
from afformer.batch.choices import BatchOptions
from afformer.batch.items import Item, find_items
from afformer.batch.parts import Part, failed_parts, missing_parts, part_size
from afformer.batch.places import Folder, local_path
from afformer.batch.report import BatchReport
from afformer.batch.results import check_same, part_names, read_done, write_job
from afformer.batch.worker import SPEC_FILE, Job, PartDone, files_of
from afformer.errors import AfformerError, BackendError, OutputError
from afformer.files import AnyPath
from afformer.inspection import read_spec
from afformer.progress import Progress, no_progress
from afformer.runtime.backends.registry import backend_name, device_of
from afformer.runtime.choices import Device
from afformer.runtime.opening import DEFAULT, OpenOptions
from afformer.spec import ModelSpec
from afformer.tensorrt.engine_info import json_path

_TOLD = 20
"""Errors of pictures that the report has; all of them are in the results."""


def segment_many(
    model: AnyPath,
    sources: Sequence[str],
    folder: str,
    *,
    options: BatchOptions | None = None,
    open_options: OpenOptions = DEFAULT,
    on_progress: Progress = no_progress,
) -> BatchReport:
    """Segments pictures on a Ray cluster; those that have results already are left out.

    Args:
        model: A model file of this machine; workers get its contents.
        sources: What `find_items` takes.
        folder: Path or URL of the results' folder, which all nodes must reach.
        options: How the work is spread, and what is kept.
        open_options: How the model is opened; `threads` are those of each worker, 0 means one.
        on_progress: Told how many pictures have results.

    Raises:
        AfformerError: The model, a source, the folder or the cluster cannot be used.
    """
    options = options or BatchOptions()
    place = _folder(folder)
    files = _model_files(Path(model), open_options.spec)
    needs, open_options = _needs(Path(model), open_options)
    spec = _spec(Path(model), files, open_options)
    items = [item for item in find_items(sources, options) if not _is_inside(item, place)]
    identity = _identity(files, spec, open_options, options)
    check_same(place, identity)
    work = _Work(items, place, options, on_progress)
    if work.is_left:
        with cluster.connected(options.address):
            write_job(place, identity)
            work.do(Job(files, open_options, place, options.masks, options.bytes_column), needs)
    return work.report()


class _Work:
    """Pictures, and what is known of them so far."""

    def __init__(self, items: list[Item], place: Folder, options: BatchOptions, on_progress: Progress) -> None:
        self._items, self._place, self._options, self._on_progress = items, place, options, on_progress
        self._start = time.perf_counter()
        done = read_done(place)
        self._before = {item.key: done[item.key] for item in items if item.key in done}
        again = failed_parts(items, self._before) if options.retry_errors else []
        self._again = again
        retried = {item.key for part in again for item in part.items}
        self._errors = [d.error for key, d in self._before.items() if d.error is not None and key not in retried]
        self._kept = len(self._before) - len(retried)
        self._nodes: collections.Counter[str] = collections.Counter()

    @property
    def is_left(self) -> bool:
        """Whether there is anything to do."""
        return self._kept < len(self._items)

    def do(self, job: Job, needs: dict[str, float]) -> None:
        """Does what is left on the cluster.

        Raises:
            AfformerError: The model, the folder or the cluster cannot be used.
        """
        self._tell()
        workers = self._options.workers or cluster.most_workers(needs)
        parts = [*self._missing(workers), *self._again]
        for done in cluster.do_parts(parts, job, min(workers, len(parts)), needs):
            self._count(done)
        self._require_there(parts)

    def report(self) -> BatchReport:
        """What became of the pictures."""
        return BatchReport(
            folder=str(self._place),
            pictures=len(self._items),
            segmented=sum(self._nodes.values()),
            already_done=self._kept,
            failed=len(self._errors),
            errors=tuple(self._errors[:_TOLD]),
            seconds=time.perf_counter() - self._start,
            nodes=dict(self._nodes),
        )

    def _missing(self, workers: int) -> list[Part]:
        size = part_size(len(self._items), workers, self._options.part_size)
        return missing_parts(self._items, self._before, size)

    def _count(self, done: PartDone) -> None:
        if done.stop:
            raise AfformerError(done.stop)
        self._nodes[done.node] += done.pictures
        self._errors += done.errors
        self._tell()

    def _tell(self) -> None:
        self._on_progress("pictures", self._kept + sum(self._nodes.values()), len(self._items))

    def _require_there(self, parts: Sequence[Part]) -> None:
        """Refuses a folder that is another one on other nodes."""
        missing = {part.name for part in parts} - set(part_names(self._place))
        if missing:
            raise OutputError(
                f"{self._place}: {len(missing)} of {len(parts)} parts are on other nodes, which have a folder of their "
                "own there; name one that all nodes share, or a URL"
            )


def _folder(folder: str) -> Folder:
    path = local_path(folder)
    return Folder(folder if path is None else str(path.absolute()))


def _model_files(model: Path, spec: AnyPath | None) -> tuple[tuple[str, bytes], ...]:
    """The model's file, of an engine the JSON beside it, and the spec file that is said."""
    paths = {path.name: path for path in (model, json_path(model)) if path == model or path.is_file()}
    if spec is not None:
        paths[SPEC_FILE] = Path(spec)
    try:
        return tuple((name, path.read_bytes()) for name, path in paths.items())
    except OSError as error:
        raise BackendError(f"{error.filename}: cannot be read ({error.strerror}); check the path") from error


def _needs(model: Path, open_options: OpenOptions) -> tuple[dict[str, float], OpenOptions]:
    """What Ray keeps free for a worker, and how it opens the model."""
    threads = open_options.threads or 1
    device = device_of(model, open_options.backend, open_options.device)
    gpus = {"num_gpus": 1.0} if device is Device.CUDA else {}
    return {"num_cpus": float(threads), **gpus}, dataclasses.replace(open_options, threads=threads)


def _spec(model: Path, files: tuple[tuple[str, bytes], ...], open_options: OpenOptions) -> ModelSpec:
    """The model's spec, if its files are all that it needs; its device need not be on this machine."""
    here = dataclasses.replace(open_options, backend=None, device=None)
    with files_of(files, here) as (copy, options):
        try:
            if backend_name(model) == "tensorrt":
                return read_spec(copy, options)[0]
            with options.open_segmenter(copy) as segmenter:
                return segmenter.spec
        except AfformerError as error:
            message = str(error).replace(str(copy), str(model))
            raise type(error)(message.replace(str(options.spec), str(open_options.spec))) from error


def _identity(
    files: tuple[tuple[str, bytes], ...], spec: ModelSpec, open_options: OpenOptions, options: BatchOptions
) -> dict[str, Any]:
    """What results of one folder have in common."""
    return {
        "model": hashlib.sha256(files[0][1]).hexdigest(),
        "model_file": files[0][0],
        "fit": open_options.fit.value,
        "masks": options.masks.value,
        "size": list(spec.input_hw),
        "classes": list(spec.classes),
    }


def _is_inside(item: Item, place: Folder) -> bool:
    """Whether a picture is a mask of an earlier run, or anything else among the results."""
    return (item.table or item.path).startswith(f"{place.location.rstrip('/')}/")
