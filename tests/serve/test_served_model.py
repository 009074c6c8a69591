"""Many requests at a time: batches, the bounded queue, deadlines, clients that leave, an end under load."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from afformer.serve.options import Limits, ServeOptions
from afformer.spec import InputKind, ModelSpec, OutputKind
from tests.builders.serving import FakeOpenOptions, Gate, Running, running
from tests.builders.tiny_onnx import SPEC

ONE = dataclasses.replace(SPEC, input=InputKind.UINT8, output=OutputKind.CLASSMAP)
FOUR = dataclasses.replace(ONE, batch=4)
SHAPE = (64, 96, 3)
Send = Callable[[int], "concurrent.futures.Future[httpx.Response]"]


def options(gate: Gate, *, max_wait_s: float = 0.0, workers: int = 1, **limits: Any) -> ServeOptions:
    return ServeOptions(
        open_options=FakeOpenOptions(make=gate.backend),
        max_wait_s=max_wait_s,
        workers=workers,
        limits=Limits(**limits),
    )


def infer(server: Running, level: int, **parameters: Any) -> httpx.Response:
    """A request whose answer shows that it is its own: pictures of level 0..3 are of that class."""
    rows = np.full((1, *SHAPE), level * 85, np.uint8)
    size = {"binary_data_size": rows.nbytes}
    head = {
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": list(rows.shape), "parameters": size}],
        "parameters": {"binary_data_output": True, **parameters},
    }
    text = json.dumps(head).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    return server.client.post("/v2/models/m/infer", content=text + rows.tobytes(), headers=headers)


def classes_in(response: httpx.Response) -> set[int]:
    head = int(response.headers["Inference-Header-Content-Length"])
    return set(response.content[head:])


def wait_for_queue(server: Running, length: int) -> None:
    queue = server.state.repository.get("m").queue
    for _ in range(10_000):
        if len(queue) == length:
            return
        server.client.get("/v2/health/live")
    raise AssertionError(f"the queue has {len(queue)} jobs, expected {length}")


@pytest.fixture
def pool() -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    with concurrent.futures.ThreadPoolExecutor(32) as opened:
        yield opened


@pytest.fixture
def gate() -> Gate:
    return Gate(ONE)


def serving(spec: ModelSpec) -> Gate:
    return Gate(spec)


def test_requests_that_wait_share_a_batch_and_get_their_own_answers(
    pool: concurrent.futures.ThreadPoolExecutor,
) -> None:
    gate = serving(FOUR)
    with running({"m": Path("m")}, options(gate)) as server:
        gate.shut()
        first = pool.submit(infer, server, 0)
        gate.wait_until_entered()
        later = [pool.submit(infer, server, level % 4) for level in range(1, 9)]
        wait_for_queue(server, 8)
        gate.open()
        assert classes_in(first.result()) == {0}
        for level, future in enumerate(later, 1):
            assert classes_in(future.result()) == {level % 4}
        stats = server.client.get("/v2/models/m/stats").json()["model_stats"][0]
        assert stats["execution_count"] == 3  # 1 + 4 + 4
        assert stats["inference_count"] == 9


def test_a_batch_waits_for_others_within_its_time(pool: concurrent.futures.ThreadPoolExecutor) -> None:
    gate = serving(FOUR)
    with running({"m": Path("m")}, options(gate, max_wait_s=60)) as server:
        futures = [pool.submit(infer, server, level) for level in range(4)]
        assert [classes_in(future.result()) for future in futures] == [{0}, {1}, {2}, {3}]
        assert server.client.get("/v2/models/m/stats").json()["model_stats"][0]["execution_count"] == 1


def test_pictures_of_different_sizes_share_a_batch(
    pool: concurrent.futures.ThreadPoolExecutor, png_file: bytes
) -> None:
    gate = serving(FOUR)
    with running({"m": Path("m")}, options(gate, max_wait_s=60)) as server:
        alone = server.client.post("/v1/segment?fit=pad&timeout=0.01", content=png_file)
        assert alone.status_code == 503  # nobody fills its batch
        futures = [pool.submit(server.client.post, "/v1/segment", content=png_file) for _ in range(4)]
        assert {future.result().status_code for future in futures} == {200}
        assert len({future.result().content for future in futures}) == 1
        assert len(gate.backends[0].calls) == 2  # the warm-up and the four together


def test_a_full_queue_answers_503_and_says_when_to_come_again(
    pool: concurrent.futures.ThreadPoolExecutor, gate: Gate, png_file: bytes
) -> None:
    with running({"m": Path("m")}, options(gate, queue=2)) as server:
        gate.shut()
        accepted = [pool.submit(infer, server, 1)]
        gate.wait_until_entered()
        accepted += [pool.submit(infer, server, level) for level in (2, 3)]
        wait_for_queue(server, 2)
        refused = [infer(server, 0), server.client.post("/v1/segment", content=png_file)]
        gate.open()
        assert [classes_in(future.result()) for future in accepted] == [{1}, {2}, {3}]
        for response in refused:
            assert response.status_code == 503
            assert int(response.headers["Retry-After"]) >= 1
            assert "2 requests wait already" in response.json()["error"]


def test_a_request_is_answered_by_its_deadline_and_leaves_the_queue(
    pool: concurrent.futures.ThreadPoolExecutor, gate: Gate
) -> None:
    with running({"m": Path("m")}, options(gate)) as server:
        gate.shut()
        first = pool.submit(infer, server, 1)
        gate.wait_until_entered()
        late = infer(server, 2, timeout=1000)
        assert late.status_code == 503
        assert "no answer within 0.001 s" in late.json()["error"]
        wait_for_queue(server, 0)
        gate.open()
        assert classes_in(first.result()) == {1}
        assert len(gate.backends[0].calls) == 2  # the warm-up and the first request


def test_clients_that_leave_cost_no_run_of_the_model(
    pool: concurrent.futures.ThreadPoolExecutor, gate: Gate, png_file: bytes
) -> None:
    with running({"m": Path("m")}, options(gate)) as server:
        gate.shut()
        first = pool.submit(infer, server, 1)
        gate.wait_until_entered()
        head = f"POST /v1/segment HTTP/1.1\r\nHost: x\r\nContent-Length: {len(png_file)}\r\n\r\n".encode()
        with server.connect() as leaving:
            leaving.sendall(head + png_file)
            wait_for_queue(server, 1)
        wait_for_queue(server, 0)
        gate.open()
        first.result()
        assert len(gate.backends[0].calls) == 2


def test_one_failing_request_does_not_spoil_its_batch(pool: concurrent.futures.ThreadPoolExecutor) -> None:
    gate = serving(dataclasses.replace(FOUR, output=OutputKind.LOGITS))

    def make() -> Any:
        backend = gate.backend()
        inner = backend._answer

        def sometimes(image: Any) -> Any:
            answer = inner(image)
            return np.full_like(answer, np.nan) if (image[: len(image)] == 255).all(axis=(1, 2, 3)).any() else answer

        backend._answer = sometimes
        return backend

    chosen = dataclasses.replace(options(gate, max_wait_s=60), open_options=FakeOpenOptions(make=make))
    with running({"m": Path("m")}, chosen) as server:
        files = [_png(level) for level in (0, 85, 255, 170)]
        futures = [pool.submit(server.client.post, "/v1/segment", content=file) for file in files]
        assert [future.result().status_code for future in futures] == [200, 200, 500, 200]
        assert "log says why" in futures[2].result().json()["error"]


def test_all_workers_work(pool: concurrent.futures.ThreadPoolExecutor, gate: Gate) -> None:
    with running({"m": Path("m")}, options(gate, workers=2)) as server:
        gate.shut()
        futures = [pool.submit(infer, server, level) for level in (1, 2)]
        gate.wait_until_entered()
        gate.wait_until_entered()
        gate.open()
        assert [classes_in(future.result()) for future in futures] == [{1}, {2}]
        assert [len(backend.calls) for backend in gate.backends] == [2, 2]


def test_what_was_accepted_is_answered_when_the_server_ends(
    pool: concurrent.futures.ThreadPoolExecutor, gate: Gate
) -> None:
    with running({"m": Path("m")}, options(gate)) as server:
        gate.shut()
        accepted = [pool.submit(infer, server, 1)]
        gate.wait_until_entered()
        accepted += [pool.submit(infer, server, level) for level in (2, 3)]
        wait_for_queue(server, 2)
        server.server.should_exit = True
        gate.open()
        answers = [future.result() for future in accepted]
        assert [classes_in(answer) for answer in answers] == [{1}, {2}, {3}]
        assert all(answer.headers["connection"] == "close" for answer in answers)


def test_unloading_answers_what_was_accepted(pool: concurrent.futures.ThreadPoolExecutor, gate: Gate) -> None:
    with running({"m": Path("m")}, options(gate)) as server:
        gate.shut()
        accepted = [pool.submit(infer, server, level) for level in (1, 2, 3)]
        gate.wait_until_entered()
        wait_for_queue(server, 2)
        unloading = pool.submit(server.client.post, "/v2/repository/models/m/unload")
        while server.client.get("/v2/models/m/ready").status_code == 200:
            pass
        assert infer(server, 0).status_code == 404
        gate.open()
        assert [classes_in(future.result()) for future in accepted] == [{1}, {2}, {3}]
        assert unloading.result().status_code == 200


def test_bodies_and_pictures_are_held_within_the_memory_budget(server_png: bytes, gate: Gate) -> None:
    with running({"m": Path("m")}, options(gate, memory=200_000)) as server:
        response = server.client.post("/v1/segment", content=server_png)
        assert response.status_code == 503
        assert "as many bodies and pictures as it may" in response.json()["error"]
        assert infer(server, 2).status_code == 200
        assert server.state.memory.held == 0


@pytest.fixture
def server_png() -> bytes:
    return _png(85, (400, 400))


def _png(level: int, size: tuple[int, int] = (64, 96)) -> bytes:
    import cv2

    return cv2.imencode(".png", np.full((*size, 3), level, np.uint8))[1].tobytes()
