"""Whole runs on Ray clusters of this machine: the command in a process of its own, as a user starts it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from afformer import assets
from tests.builders.cli import STREET, run_without

pytest.importorskip("ray.data", reason="needs the extra `ray`")

import pyarrow.parquet as pq

_QUICK = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 300, "health_check_failure_threshold": 3}
"""So that Ray notices a dead node in a second."""


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "afformer", "batch", *map(str, arguments)]


def batch(*arguments: object) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(command(*arguments, "--json"), capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def paths_and_nodes(out: Path) -> tuple[Counter[str], set[str]]:
    """How often each picture is in the output, and the nodes that have written it."""
    counts: Counter[str] = Counter()
    nodes = set()
    for part in out.glob("*.parquet"):
        table = pq.read_table(part)
        counts.update(Path(path).name for path in table.column("path").to_pylist())
        nodes.add(table.schema.metadata[b"afformer_node"].decode())
    return counts, nodes


@pytest.fixture
def many(tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(60):
        os.link(
            shutil.copy(STREET, folder / "0.jpg") if number == 0 else folder / "0.jpg", folder / f"{number + 1}.jpg"
        )
    (folder / "61.jpg").write_bytes(b"not a picture")
    return folder


@pytest.fixture
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 << 20, "_system_config": _QUICK}
    made = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield made
    finally:
        made.shutdown()


def test_two_nodes_work_and_one_that_is_killed_costs_no_picture(cluster: Any, many: Path, tmp_path: Path) -> None:
    killed = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    out = tmp_path / "out"
    line = command(assets.MODEL, many, "-o", out, "--part-size", 2, "--address", cluster.address, "--json")
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        while running.poll() is None and not (out.is_dir() and len(paths_and_nodes(out)[1]) == 2):
            time.sleep(0.05)
        assert running.poll() is None, running.communicate()
        os.kill(killed.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        stdout, stderr = running.communicate()
    assert running.returncode == 1, stderr
    report = json.loads(stdout)
    assert (report["pictures"], report["segmented"], report["failed"]) == (62, 62, 1)
    assert len(report["nodes"]) == 2
    counts, _ = paths_and_nodes(out)
    assert counts == Counter(path.name for path in many.iterdir())

    (many / "61.jpg").write_bytes(STREET.read_bytes())
    (many / "62.jpg").write_bytes(STREET.read_bytes())
    code, report, _ = batch(assets.MODEL, many, "-o", out, "--address", cluster.address, "--retry-errors")
    assert (code, report["segmented"], report["already_done"], report["failed"]) == (0, 2, 61, 0)
    counts, _ = paths_and_nodes(out)
    assert counts == Counter(path.name for path in many.iterdir())


def test_a_local_cluster_is_made_and_a_rerun_has_nothing_to_do(tiny: Path, pictures: Path, tmp_path: Path) -> None:
    code, report, stderr = batch(tiny, pictures, "-o", tmp_path / "out")
    assert (code, report["segmented"], report["failed"]) == (1, 3, 1)
    errors = [line for line in stderr.splitlines() if "core_worker.cc" not in line]  # Ray's native part says more
    assert [line.partition(":")[0] for line in errors] == ["Error", "Error"]
    code, report, stderr = batch(tiny, pictures, "-o", tmp_path / "out")
    assert (code, report["segmented"], report["already_done"], report["failed"]) == (1, 0, 3, 1)
    code, _, stderr = batch(tiny, pictures, "-o", tmp_path / "out", "--fit", "pad")
    assert code == 1
    assert "were made with another fit" in stderr


def test_a_cluster_that_is_not_there_is_said_in_one_line(tiny: Path, pictures: Path, tmp_path: Path) -> None:
    code, _, stderr = batch(tiny, pictures, "-o", tmp_path / "out", "--address", "127.0.0.1:1")
    assert code == 1
    (line,) = stderr.splitlines()
    assert "--address 127.0.0.1:1: there is no Ray cluster" in line
    assert not (tmp_path / "out").exists()


def test_without_ray_the_extra_is_named(pictures: Path, tmp_path: Path) -> None:
    result = run_without(("ray",), "batch", "tiny-camvid", pictures, "-o", tmp_path / "out")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].endswith('run `pip install "afformer[ray]"`')
