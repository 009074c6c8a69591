"""Variables that are set for a while."""

from __future__ import annotations

import contextlib
import os

import pytest

from afformer.environment import set_meanwhile

VARIABLE = "AFFORMER_TEST_OF_A_VARIABLE"


def test_a_variable_is_gone_after_the_work_and_after_its_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    seen = []
    with contextlib.suppress(KeyError), set_meanwhile(VARIABLE, "1"):
        seen.append(os.environ[VARIABLE])
        raise KeyError
    assert seen == ["1"]
    assert VARIABLE not in os.environ


def test_a_variable_that_is_set_keeps_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "0")
    with set_meanwhile(VARIABLE, "1"):
        assert os.environ[VARIABLE] == "0"
    assert os.environ[VARIABLE] == "0"
