"""The command as a process: it starts, says where, ends on a signal, and logs what it should and no more."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")

import httpx

from afformer.assets import MODEL, pictures

COMMAND = [sys.executable, "-c", "from afformer.cli import main; main()", "serve"]
KEY = "a-key-that-nobody-may-read"


@contextlib.contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of the bundled model, and its address."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().rpartition(" ")[2].strip()
    finally:
        process.kill()
        process.wait()


def end(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> list[dict[str, Any]]:
    """Ends the server and reads its log."""
    process.send_signal(number)
    _, log = process.communicate(timeout=60)
    return [json.loads(line) for line in log.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_ends_the_server_after_what_it_accepted(number: int) -> None:
    picture = pictures()[0].read_bytes()
    statuses: list[int] = []
    refused = threading.Event()

    def ask(url: str) -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            while not refused.is_set():
                try:
                    statuses.append(client.post("/v1/segment?output=json", content=picture).status_code)
                except httpx.ConnectError:
                    refused.set()  # nobody listens any more: the only way in which a request may fail

    with serving() as (process, url):
        threads = [threading.Thread(target=ask, args=(url,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        while len(statuses) < 6:
            time.sleep(0.01)
        log = end(process, number)
        for thread in threads:
            thread.join()
        assert process.returncode == 0
    assert set(statuses) == {200}
    assert refused.is_set()
    assert sum(line.get("endpoint") == "/v1/segment" for line in log) == len(statuses)


def test_the_log_is_json_without_pictures_keys_or_queries() -> None:
    with serving(AFFORMER_API_KEY=KEY) as (process, url):
        headers = {"X-API-Key": KEY}
        assert httpx.post(f"{url}/v1/segment?model=SECRET", content=b"PICTURE", headers=headers).status_code == 404
        assert httpx.get(f"{url}/v1/models", headers={"X-API-Key": "WRONGKEY"}).status_code == 401
        log = end(process)
    requests = [line for line in log if line["message"] == "request"]
    assert [(line["endpoint"], line["status"]) for line in requests] == [("/v1/segment", 404), ("other", 401)]
    text = json.dumps(log)
    assert not any(secret in text for secret in (KEY, "WRONGKEY", "SECRET", "PICTURE"))


def test_a_missing_model_is_one_line() -> None:
    done = subprocess.run(
        [*COMMAND, "none.onnx", "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "none.onnx" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_one_line() -> None:
    with serving() as (_, url):
        port = url.rpartition(":")[2]
        done = subprocess.run(
            [*COMMAND, str(MODEL), "--port", port],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert f"127.0.0.1:{port}: cannot be listened on" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_listens_on_this_machine_alone_unless_told_otherwise() -> None:
    with serving() as (_, url):
        assert url.startswith("http://127.0.0.1:")


def test_the_stage_is_not_imported_by_the_help() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import afformer.cli"], capture_output=True, text=True, check=True
    )
    assert not any(name in done.stderr for name in ("fastapi", "uvicorn", "afformer.serve"))
