"""What a cluster's worker does in a second against its segmenter in a loop, by turns; what 1e9 pictures would take.

    python benchmarks/batch.py [MODEL] --pictures 120 --rounds 3 --workers 1

Both read JPEG files of 1280x720 and 928x478 from a folder, on one thread a worker. The loop keeps nothing; the worker
writes class shares and masks to Parquet. The cluster's rate is that between its first and its last part, without its
start.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import pyarrow.parquet

from afformer.assets import MODEL, pictures
from afformer.batch.choices import BatchOptions, Masks
from afformer.batch.items import find_items
from afformer.batch.parts import missing_parts
from afformer.batch.places import Folder
from afformer.batch.segment_many import segment_many
from afformer.batch.worker import Job, Worker
from afformer.runtime.opening import OpenOptions
from afformer.runtime.segmenter import Segmenter

PICTURES = 1e9
NODE_CORES = 64
PART = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?", default=MODEL)
    parser.add_argument("--pictures", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "pictures")
        size_in = linked(source, arguments.pictures)
        loops, cpu, working, rates = [], [], [], []
        for number in range(arguments.rounds):
            wall_s, cpu_s = loop(arguments.model, source)
            loops.append(arguments.pictures / wall_s)
            cpu.append(arguments.pictures / cpu_s)
            working.append(worker(arguments.model, source, Path(folder, f"worker-{number}")))
            out = Path(folder, f"out-{number}")
            rates.append(cluster(arguments.model, source, out, arguments.workers))
        size_out = mask_bytes(out)
    ratios = [work / alone for work, alone in zip(working, cpu, strict=True)]
    figures = {
        "loop_a_second": statistics.median(loops),
        "loop_a_cpu_second": statistics.median(cpu),
        "worker_a_cpu_second": statistics.median(working),
        "worker_against_loop": [statistics.median(ratios), min(ratios), max(ratios)],
        "cluster_a_second": statistics.median(rates),
        "bytes_in": size_in,
        "bytes_out": size_out,
    }
    print(json.dumps({**figures, "plan": plan(statistics.median(working), size_in, size_out)}, indent=2))


def linked(folder: Path, number: int) -> float:
    """Fills a folder with the bundled pictures again and again; returns the bytes of one, on average."""
    folder.mkdir()
    files = pictures()
    for index in range(number):
        (folder / f"{index:06}.jpg").symlink_to(files[index % len(files)])
    return sum(path.stat().st_size for path in folder.iterdir()) / number


def loop(model: Path, source: Path) -> tuple[float, float]:
    """Seconds, and CPU seconds, that the segmenter alone takes."""
    with Segmenter(model, threads=1) as segment:
        paths = sorted(source.iterdir())
        segment(paths[0])
        start, cpu = time.perf_counter(), time.process_time()
        for path in paths:
            segment(path)
        return time.perf_counter() - start, time.process_time() - cpu


def worker(model: Path, source: Path, out: Path) -> float:
    """Pictures a CPU second of a worker, with all that it does, in this process."""
    job = Job(((model.name, model.read_bytes()),), OpenOptions(threads=1), Folder(str(out)), Masks.PARQUET, "bytes")
    first, *parts = missing_parts(find_items([str(source)], BatchOptions()), {}, PART)
    working = Worker(job, "here")
    working.do(first)
    cpu = time.process_time()
    done = sum(working.do(part).pictures for part in parts)
    return done / (time.process_time() - cpu)


def mask_bytes(out: Path) -> float:
    """Bytes of a mask, on average; the same masks again and again would make the files too small."""
    masks = pyarrow.parquet.read_table(out, columns=["mask"]).column("mask")
    return float(sum(len(mask.as_py()) for mask in masks) / len(masks))


def cluster(model: Path, source: Path, out: Path, workers: int) -> float:
    """Pictures a second of the whole cluster once it works."""
    told: list[tuple[float, int]] = []
    segment_many(
        model,
        [str(source)],
        str(out),
        options=BatchOptions(workers=workers, part_size=PART),
        open_options=OpenOptions(threads=1),
        on_progress=lambda _step, done, _total: told.append((time.perf_counter(), done)),
    )
    (start, first), (end, last) = told[1], told[-1]
    return (last - first) / (end - start)


def plan(a_core: float, bytes_in: float, bytes_out: float) -> dict[str, float]:
    """What 1e9 pictures of this kind would take."""
    a_node = a_core * NODE_CORES
    return {
        "core_years": PICTURES / a_core / 3600 / 24 / 365,
        "node_days": PICTURES / a_node / 3600 / 24,
        "node_reads_mbit": a_node * bytes_in * 8 / 1e6,
        "node_writes_mbit": a_node * bytes_out * 8 / 1e6,
        "tb_in": PICTURES * bytes_in / 1e12,
        "tb_out": PICTURES * bytes_out / 1e12,
    }


if __name__ == "__main__":
    main()
