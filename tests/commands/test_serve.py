"""The command as a process: it starts, says where, ends on a signal, and logs what it should and no more."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")

import httpx

from afformer.assets import pictures
from tests.builders.tiny_onnx import write_tiny_onnx

COMMAND = [sys.executable, "-c", "from afformer.cli import main; main()", "serve"]
KEY = "a-key-that-nobody-may-read"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_onnx(tmp_path / "tiny.onnx")


@contextlib.contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server on a free port, and its address."""
    with subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().rpartition(" ")[2].strip()
        finally:
            process.kill()


def end(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """Ends the server as a service manager does, and reads its log."""
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate()
    return [json.loads(line) for line in log.splitlines()]


def failure(*arguments: str) -> str:
    """What the command says when it cannot start."""
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


def test_sigterm_under_load_ends_the_server_after_what_it_accepted(model: Path) -> None:
    picture = pictures()[0].read_bytes()
    statuses: list[int] = []
    enough, refused = threading.Event(), threading.Event()

    def ask(url: str) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while not refused.is_set():
                try:
                    statuses.append(client.post("/v1/segment?output=raw", content=picture).status_code)
                except (httpx.ConnectError, httpx.ReadError):
                    refused.set()  # nobody listens any more, or stopped while this client connected
                if len(statuses) >= 6:
                    enough.set()

    with serving(str(model)) as (process, url):
        threads = [threading.Thread(target=ask, args=(url,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        enough.wait()
        log = end(process)
        for thread in threads:
            thread.join()
        assert process.returncode == 0
    assert set(statuses) == {200}
    assert sum(line.get("endpoint") == "/v1/segment" for line in log) == len(statuses)


def test_it_listens_here_alone_and_logs_json_without_pictures_keys_or_queries(model: Path) -> None:
    with serving(str(model), AFFORMER_API_KEY=KEY) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        headers = {"X-API-Key": KEY}
        assert httpx.post(f"{url}/v1/segment?model=SECRET", content=b"PICTURE", headers=headers).status_code == 404
        assert httpx.get(f"{url}/v1/models", headers={"X-API-Key": "WRONGKEY"}).status_code == 401
        address = url.partition("//")[2]
        assert f"{address}: cannot be listened on" in failure(str(model), "--port", address.partition(":")[2])
        log = end(process)
    requests = [line for line in log if line["message"] == "request"]
    assert [(line["endpoint"], line["status"]) for line in requests] == [("/v1/segment", 404), ("other", 401)]
    text = json.dumps(log)
    assert not any(secret in text for secret in (KEY, "WRONGKEY", "SECRET", "PICTURE"))


def test_a_missing_model_is_one_line() -> None:
    assert len(failure("none.onnx", "--port", "0").splitlines()) == 1
