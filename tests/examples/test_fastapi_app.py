from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from afformer import Segmenter, assets
from afformer.images import read_label
from tests.builders.cli import STREET
from tests.builders.example_programs import load_program
from tests.builders.serving import listening


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """Sends requests to the application, which runs."""
    server = uvicorn.Server(uvicorn.Config(load_program("fastapi_app.py")["app"], log_level="warning"))
    with listening(server) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client


def test_a_picture_is_answered_with_its_mask(client: httpx.Client, tmp_path: Path) -> None:
    answer = client.post("/mask", files={"picture": STREET.read_bytes()})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    (tmp_path / "mask.png").write_bytes(answer.content)
    with Segmenter(assets.MODEL) as segment:
        assert (read_label(tmp_path / "mask.png") == segment(STREET)).all()


def test_a_picture_is_answered_with_the_shares_of_its_classes(client: httpx.Client) -> None:
    shares = client.post("/shares", files={"picture": STREET.read_bytes()}).json()
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert "Road" in shares


def test_what_is_not_a_picture_is_refused(client: httpx.Client) -> None:
    answer = client.post("/mask", files={"picture": b"nothing"})
    assert answer.status_code == 400
    assert answer.json()["detail"]
