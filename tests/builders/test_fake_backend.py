from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from afformer.errors import BackendError
from afformer.spec import InputKind
from tests.builders.fake_backend import FakeBackend
from tests.builders.tiny_onnx import SPEC

BYTES = dataclasses.replace(SPEC, input=InputKind.UINT8)


def test_brightness_decides_the_class() -> None:
    backend = FakeBackend(BYTES)
    for grey, expected in ((0, 0), (85, 1), (170, 2), (255, 3)):
        assert np.all(backend.run(np.full((1, 64, 96, 3), grey, np.uint8)).argmax(axis=1) == expected)


def test_normalised_and_byte_input_give_the_same_answer() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), np.uint8)
    normalised = ((pixels - np.array(SPEC.mean)) / SPEC.std).transpose(0, 3, 1, 2).astype(np.float32)
    np.testing.assert_allclose(FakeBackend(SPEC).run(normalised), FakeBackend(BYTES).run(pixels), atol=1e-5)


def test_calls_are_logged_as_copies() -> None:
    backend = FakeBackend(SPEC)
    feed = np.zeros((1, 3, 64, 96), np.float32)
    backend.run(feed)
    feed[:] = 1
    backend.run(feed)
    assert [float(call.max()) for call in backend.calls] == [0, 1]


def test_an_answer_that_breaks_the_spec_is_refused() -> None:
    backend = FakeBackend(SPEC, lambda _: np.zeros((1, 4, 1, 1), np.float32))
    with pytest.raises(BackendError, match="output 'logits' must be float32 of shape"):
        backend.run(np.zeros((1, 3, 64, 96), np.float32))
