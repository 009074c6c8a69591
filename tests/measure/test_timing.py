from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from afformer.errors import BackendError
from afformer.measure.timing import Case, time_models
from afformer.runtime.opening import OpenOptions
from afformer.spec import InputKind
from tests.builders.tiny_onnx import SPEC, write_tiny_onnx

ONE_THREAD = OpenOptions(threads=1)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_onnx(tmp_path / "model.onnx")


def test_the_first_case_is_the_measure_of_the_others(model: Path) -> None:
    first, second = time_models([Case(model, ONE_THREAD)] * 2, rounds=3, calls=2)
    assert (first.ratio, first.ratio_low, first.ratio_high) == (1, 1, 1)
    assert 0 < second.ratio_low <= second.ratio <= second.ratio_high
    assert first.seconds > 0
    assert first.engine.startswith("ONNX Runtime")


def test_one_model_alone_is_timed(model: Path) -> None:
    (timing,) = time_models([Case(model)], rounds=1, calls=1)
    assert (timing.ratio, timing.ratio_low, timing.ratio_high) == (1, 1, 1)


def test_a_frozen_program_says_that_it_cannot_time(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.frozen", True, raising=False)
    with pytest.raises(BackendError, match="which a frozen program cannot start"):
        time_models([Case(model)], rounds=1, calls=1)


def test_models_that_take_bytes_are_timed(tmp_path: Path) -> None:
    model = write_tiny_onnx(tmp_path / "bytes.onnx", dataclasses.replace(SPEC, input=InputKind.UINT8))
    (timing,) = time_models([Case(model)], rounds=1, calls=1)
    assert timing.seconds > 0


def test_many_models_take_turns_in_groups_and_all_are_timed(model: Path) -> None:
    told: list[tuple[str, int, int]] = []
    timings = time_models([Case(model)] * 8, rounds=1, calls=1, progress=lambda *what: told.append(what))
    assert len(timings) == 8
    assert told == [("rounds", 0, 2), ("rounds", 1, 2), ("rounds", 1, 2), ("rounds", 2, 2)]


def test_a_case_that_has_enough_is_not_run_again(model: Path) -> None:
    asked: list[int] = []

    def enough(ratios: Sequence[float]) -> bool:
        asked.append(len(ratios))
        return len(ratios) == len(asked)  # the second case, asked second each time, never has enough

    timings = time_models([Case(model, ONE_THREAD)] * 3, rounds=4, calls=1, enough=enough)
    assert asked == [1, 1, 2, 3, 4]
    assert all(timing.seconds > 0 and timing.ratio > 0 for timing in timings)


def test_timing_ends_when_all_cases_have_enough(model: Path) -> None:
    told: list[tuple[str, int, int]] = []
    cases = [Case(model, ONE_THREAD)] * 2
    time_models(cases, calls=1, enough=lambda ratios: len(ratios) == 2, progress=lambda *what: told.append(what))
    assert [done for _, done, _ in told] == [0, 1, 12]


def test_a_model_that_cannot_be_opened_is_named(model: Path, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"nowhere.onnx: cannot be timed: .*no such model file"):
        time_models([Case(model), Case(tmp_path / "nowhere.onnx")], rounds=1, calls=1)


def test_an_unknown_backend_is_named(model: Path) -> None:
    with pytest.raises(BackendError, match="unknown backend 'nonsense'"):
        time_models([Case(model, OpenOptions("nonsense"))], rounds=1, calls=1)


def test_a_worker_that_dies_is_an_error_with_its_last_message(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afformer.measure.timing._WORKER", "import sys; sys.exit('out of memory')")
    with pytest.raises(BackendError, match=r"the process that times it ended \(out of memory\)"):
        time_models([Case(model)], rounds=1, calls=1)
