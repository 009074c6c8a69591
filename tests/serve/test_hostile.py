"""Requests that mean harm, or are damaged: each gets a clear answer, and the next good request its right one."""

from __future__ import annotations

import gzip
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from afformer.serve.options import Limits, ServeOptions
from tests.builders.serving import Running, read_all, running
from tests.serve.conftest import LIMITS

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def good_requests_are_right_afterwards(server: Running, png_file: bytes) -> Iterator[None]:
    before = server.client.post("/v1/segment?output=raw", content=png_file)
    yield
    after = server.client.post("/v1/segment?output=raw", content=png_file)
    assert (after.status_code, after.content) == (200, before.content)
    assert server.state.memory.held == 0


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG whose header promises a size."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def jpeg_of(width: int, height: int) -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00"
    return (
        b"\xff\xd8\xff\xc0"
        + struct.pack(">H", len(frame) + 2)
        + frame
        + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\xff\xd9"
    )


def webp_of(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + size
    return b"RIFF" + struct.pack("<I", len(body)) + body


NOT_PICTURES = {
    "empty": b"",
    "one byte": b"\xff",
    "text": b"hello",
    "html": b"<script>alert(1)</script>",
    "zeros": bytes(100_000),
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    "gif": b"GIF89a\x01\x00\x01\x00\x00\x00\x00;",
    "bmp": b"BM" + bytes(60),
    "tiff": b"II*\0" + bytes(60),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "pdf": b"%PDF-1.4\n%%EOF",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "jpeg magic alone": b"\xff\xd8\xff",
    "png magic alone": b"\x89PNG\r\n\x1a\n",
    "webp magic alone": b"RIFF\x10\0\0\0WEBP",
    "png without pixels": png_of(10, 10),
    "png of no width": png_of(0, 10),
    "jpeg of no height": jpeg_of(10, 0),
    "jpeg without pixels": jpeg_of(10, 10),
    "webp without pixels": webp_of(10, 10),
    "webp whose canvas is larger than its picture": webp_of(100, 100)
    + b"VP8L"
    + struct.pack("<I", 6)
    + b"\x2f\0\0\0\0\0",
    "png with a wrong checksum": png_of(10, 10, bytes(310))[:-20] + bytes(20),
}
BOMBS = {
    "png": png_of(60_000, 60_000),
    "png of more than 31 bits": png_of(2**31 - 1, 2**31 - 1),
    "png just above": png_of(600, 501, bytes(10)),
    "jpeg": jpeg_of(65_500, 65_500),
    "webp": webp_of(16_000, 16_000),
}


@pytest.mark.parametrize("name", NOT_PICTURES)
@pytest.mark.parametrize("form", [False, True])
def test_what_is_not_a_picture_is_refused(server: Running, name: str, form: bool) -> None:
    data = NOT_PICTURES[name]
    sent: dict[str, Any] = {"files": {"file": ("a.png", data)}} if form else {"content": data}
    response = server.client.post("/v1/segment", **sent)
    assert response.status_code in (400, 413, 415)
    assert response.json()["error"].endswith(("upload", "again", "file", "allowed"))


@pytest.mark.parametrize("name", BOMBS)
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(server: Running, name: str) -> None:
    response = server.client.post("/v1/segment", content=BOMBS[name])
    assert response.status_code == 413
    assert "300000" in response.json()["error"]


@pytest.mark.parametrize("keep", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_truncated_picture_is_refused(server: Running, png_file: bytes, keep: float) -> None:
    response = server.client.post("/v1/segment", content=png_file[: int(keep * len(png_file))])
    assert response.status_code in (400, 415)
    assert response.json()["error"]


@pytest.mark.parametrize("seed", range(20))
def test_random_damage_gives_an_answer_or_a_refusal(server: Running, png_file: bytes, seed: int) -> None:
    random = np.random.default_rng(seed)
    damaged = np.frombuffer(png_file, np.uint8).copy()
    places = random.integers(0, len(damaged), 1 + seed * 3)
    damaged[places] = random.integers(0, 256, len(places))
    response = server.client.post("/v1/segment", content=damaged.tobytes())
    assert response.status_code in (400, 413, 415)


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_refused_by_every_endpoint_that_takes_some(server: Running, seed: int) -> None:
    random = np.random.default_rng(seed)
    data = random.bytes(int(random.integers(1, 5000)))
    for path in ("/v1/segment", "/v2/models/classes/infer", "/v2/repository/index"):
        length = {"Inference-Header-Content-Length": str(random.integers(0, 99))} if seed % 2 else {}
        response = server.client.post(path, content=data, headers=length)
        assert 400 <= response.status_code < 500
        assert response.json()["error"]


@pytest.mark.parametrize("path", ["/v1/segment", "/v2/models/classes/infer", "/v2/repository/index"])
def test_a_body_beyond_the_limit_is_refused_however_it_comes(server: Running, path: str) -> None:
    size = LIMITS.body + 1
    known = server.client.post(path, content=bytes(size))
    chunked = server.client.post(path, content=(bytes(100_000) for _ in range(size // 100_000 + 1)))
    bomb = server.client.post(path, content=gzip.compress(bytes(10 * size), 1), headers={"Content-Encoding": "gzip"})
    for response in (known, chunked, bomb):
        assert response.status_code == 413
        assert str(LIMITS.body) in response.json()["error"]


EMPTY_GZIP = gzip.compress(b"{}", mtime=0)  # no time in it: it names a test, which all workers must call the same


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", b"not gzip", 400),
        ("gzip", EMPTY_GZIP[:-3], 400),
        ("gzip", EMPTY_GZIP + b"more", 400),
        ("gzip", b"", 400),
        ("deflate", b"\x00\x01", 400),
        ("br", b"{}", 415),
        ("gzip, gzip", gzip.compress(EMPTY_GZIP, mtime=0), 415),
    ],
)
def test_a_wrong_compression_is_refused(server: Running, encoding: str, body: bytes, status: int) -> None:
    headers = {"Content-Encoding": encoding}
    assert server.client.post("/v2/repository/index", content=body, headers=headers).status_code == status


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/page/../../options.py",
        "/page/..%2f..%2foptions.py",
        "/page/%2e%2e/%2e%2e/etc/passwd",
        "/page//etc/passwd",
        "/page/..\\..\\options.py",
        "/page/%00",
        "/static-offline-docs/../__init__.py",
        "/v2/models/..%2f..%2fetc/config",
        "/v2/models/%00/config",
        "/v2/models/" + "a" * 5000 + "/config",
        "/v2/models/logits/versions/%2e%2e",
        "/v2/models/<script>/config",
    ],
)
def test_paths_lead_nowhere_else(server: Running, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = server.send(request.encode())
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))
    assert len(answer) < 1000
    assert b"/work" not in answer
    assert str(Path.home()).encode() + b"/" not in answer


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/segment HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/segment HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /v1/segment HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/segment HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(server: Running, request_: bytes) -> None:
    assert server.send(request_).startswith(b"HTTP/1.1 400")


def test_endless_headers_are_refused(server: Running) -> None:
    answer = server.send(b"GET / HTTP/1.1\r\n" + b"X-Filler: 0123456789abcdef\r\n" * 3000)
    assert b" 431 " in answer


def test_a_client_that_is_slow_with_its_headers_is_dropped(impatient: Running) -> None:
    answer = impatient.send(b"GET / HTTP/1.1\r\nHost:")
    assert answer.startswith(b"HTTP/1.1 408")


def test_a_client_that_says_nothing_is_dropped(impatient: Running) -> None:
    assert impatient.send(b"") == b""


def test_a_client_that_is_slow_with_its_second_request_is_dropped(impatient: Running) -> None:
    answer = impatient.send(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\nGET /v2 HTTP/1.1\r\nHos")  # both in one packet
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in answer


@pytest.mark.parametrize("lines", [b"", b"\r\n\r\n"])
def test_a_client_that_sends_nothing_more_is_dropped(impatient: Running, lines: bytes) -> None:
    with impatient.connect() as connection:
        connection.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        connection.sendall(lines)
        assert b"HTTP/1.1" not in read_all(connection)


@pytest.mark.parametrize("path", ["/v1/segment", "/v2/models/classes/infer"])
def test_a_client_that_is_slow_with_its_body_is_dropped(impatient: Running, path: str) -> None:
    answer = impatient.send(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nbegin".encode())
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"did not arrive within 1 s" in answer


def test_a_client_that_takes_no_answers_is_dropped(impatient: Running) -> None:
    with impatient.connect() as connection, pytest.raises(ConnectionError):
        ask_without_reading(connection)  # the server stops to read when nobody takes its answers, and then gives up


def ask_without_reading(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n")


def test_connections_beyond_the_limit_are_refused(models: dict[str, Path]) -> None:
    with running(models, ServeOptions(limits=Limits(connections=2))) as server:
        with server.connect() as first, server.connect() as second:
            first.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
            second.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert first.recv(4096).startswith(b"HTTP/1.1 200")
            assert second.recv(4096).startswith(b"HTTP/1.1 200")
            with server.connect() as third:
                answer = read_all(third)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"Retry-After: 1" in answer
        while len(server.server.server_state.connections):
            pass
        assert server.client.get("/v2").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Bearer {KEY.upper()}"},
        {"X-API-Key": "wrong"},
        {"X-API-Key": b"\xff\xfe"},
        {"X-API-Key": ""},
    ],
)
@pytest.mark.parametrize("path", ["/v1/segment", "/v2/models/logits/infer", "/v2/repository/models/logits/unload"])
def test_nothing_is_done_without_the_key(guarded: Running, headers: dict[str, Any], path: str) -> None:
    response = guarded.client.post(path, content=b"x", headers=headers)
    assert response.status_code == 401
    assert "API key" in response.json()["error"]
    assert KEY not in response.text


@pytest.fixture(scope="module")
def guarded(models: dict[str, Path]) -> Iterator[Running]:
    with running(models, ServeOptions(api_key=KEY)) as server:
        yield server


@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {KEY}"}, {"X-API-Key": KEY}])
def test_the_key_opens_everything(guarded: Running, headers: dict[str, str], png_file: bytes) -> None:
    assert guarded.client.post("/v1/segment", content=png_file, headers=headers).status_code == 200
    assert guarded.client.get("/metrics", headers=headers).status_code == 200


def test_health_and_the_page_need_no_key_but_models_and_metrics_do(guarded: Running) -> None:
    for path in ("/", "/page/page.js", "/docs", "/v2/health/live", "/v2/health/ready"):
        assert guarded.client.get(path).status_code == 200
    for path in ("/v1/models", "/metrics", "/v2", "/v2/models/logits", "/page/../metrics"):
        assert guarded.client.get(path).status_code == 401


def test_openapi_tells_of_the_key_where_there_is_one(server: Running, guarded: Running) -> None:
    schemes = guarded.client.get("/openapi.json").json()["components"]["securitySchemes"]
    assert schemes["APIKeyHeader"]["name"] == "X-API-Key"
    assert "securitySchemes" not in server.client.get("/openapi.json").json()["components"]


def test_pages_of_other_sites_cannot_use_the_server(server: Running, png_file: bytes) -> None:
    for origin in ("https://elsewhere.example", "null", f"http://{server.address}.elsewhere.example"):
        response = server.client.post("/v1/segment", content=png_file, headers={"Origin": origin})
        assert response.status_code == 403
    own = server.client.post("/v1/segment", content=png_file, headers={"Origin": f"http://{server.address}"})
    assert own.status_code == 200


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\nnothing"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\ntext\r\n--b--\r\n"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\n' * 5,
        ),
        ("multipart/form-data; boundary=" + "b" * 3000, b"--b"),
        ("application/json", b"{}"),
        ("application/x-www-form-urlencoded", b"a=b"),
        ("text/plain", b"hello"),
    ],
)
def test_other_kinds_of_bodies_are_refused(server: Running, kind: str, body: bytes) -> None:
    response = server.client.post("/v1/segment", content=body, headers={"Content-Type": kind})
    assert response.status_code in (400, 415)
    assert "JPEG, PNG or WebP" in response.json()["error"]
