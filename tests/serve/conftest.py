from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")

from afformer.images import RGBImage
from afformer.serve.options import Limits, ServeOptions
from afformer.spec import InputKind, OutputKind
from tests.builders.serving import Running, running
from tests.builders.tiny_onnx import SPEC, write_tiny_onnx

LIMITS = Limits(body=2_000_000, pixels=300_000, tiles=6)
IMPATIENT = Limits(header_s=1.0, body_s=1.0, write_s=1.0, idle_s=1.0)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Logits, class maps, and a batch of four."""
    folder = tmp_path_factory.mktemp("served")
    as_bytes = dataclasses.replace(SPEC, input=InputKind.UINT8, output=OutputKind.CLASSMAP)
    specs = {"logits": SPEC, "classes": as_bytes, "batch": dataclasses.replace(SPEC, batch=4)}
    return {name: write_tiny_onnx(folder / f"{name}.onnx", spec) for name, spec in specs.items()}


@pytest.fixture(scope="session")
def server(models: dict[str, Path]) -> Iterator[Running]:
    """A server that tests leave as they found it."""
    with running(models, ServeOptions(limits=LIMITS)) as started:
        yield started


@pytest.fixture(scope="session")
def impatient(models: dict[str, Path]) -> Iterator[Running]:
    """A server that waits for a second, for tests of clients that take longer."""
    with running(models, ServeOptions(limits=IMPATIENT)) as started:
        yield started


@pytest.fixture(scope="session")
def picture() -> RGBImage:
    """`(120, 160, 3)`: all levels of brightness, and noise."""
    random = np.random.default_rng(7)
    slope = np.linspace(0, 255, 160)[None, :, None]
    return np.clip(slope + random.normal(0, 30, (120, 160, 3)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def png_file(picture: RGBImage) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
