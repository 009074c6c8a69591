"""The variable that keeps ONNX Runtime's telemetry off."""

from __future__ import annotations

import contextlib
import os

import pytest

from afformer.telemetry import without_telemetry

VARIABLE = "ORT_DISABLE_TELEMETRY"


def test_the_environment_is_as_before_after_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    seen = []
    with contextlib.suppress(ImportError), without_telemetry():
        seen.append(os.environ[VARIABLE])
        raise ImportError
    assert seen == ["1"]
    assert VARIABLE not in os.environ


def test_what_the_user_has_set_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "0")
    with without_telemetry():
        assert os.environ[VARIABLE] == "0"
    assert os.environ[VARIABLE] == "0"
