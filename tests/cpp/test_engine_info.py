"""What lies beside an engine: read, and compared with what is here, before TensorRT sees the plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afformer.errors import BackendError, SpecError
from afformer.tensorrt.compatibility import check_compatible
from afformer.tensorrt.engine_info import EngineInfo, json_path
from afformer.tensorrt.gpu import Gpu
from afformer.tensorrt.packages import Library
from tests.cpp.driver import Driver
from tests.cpp.fake_engines import HERE, VERSION, reraise, write_engine

Start = Callable[..., Driver]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"version": "10.4.0"}, r"built by TensorRT 10\.4\.0, but 10\.3\.0 is installed; build it again on this"),
        (
            {"version": "8.6.1"},
            "build it again .*`afformer-cli engine model.onnx -o model.engine --precision fp16`.*, or once",
        ),
        ({"version": "10.7.0", "version_compatible": True}, r"TensorRT 10\.7\.0 or later runs it; build it again"),
        ({"library": Library.TENSORRT_RTX, "gpu": None}, "built by the library 'tensorrt_rtx', but this program runs"),
        ({"gpu": Gpu("Orin", (8, 7))}, r"built for Orin \(compute capability 8\.7\), but here is Fake GPU .*8\.6"),
        ({"gpu": Gpu("Fake GPU", (9, 0))}, "or once with --hardware-compatible"),
    ],
)
def test_an_engine_that_was_made_elsewhere_is_refused(
    start: Start, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(BackendError, match=told):
        reraise(start(write_engine(tmp_path, **changes)))


def test_an_engine_for_many_gpus_is_refused_on_older_ones(start: Start, tmp_path: Path) -> None:
    path = write_engine(tmp_path, hardware_compatible=True)
    assert start(path).problem is None
    with pytest.raises(BackendError, match=r"8\.0 or later, but here is Fake GPU \(compute capability 7\.5\)"):
        reraise(start(path, gpus="old"))


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "10.4.0"},
        {"version": "9.0.0"},
        {"version": "11.0.0", "version_compatible": True},
        {"gpu": Gpu("Orin", (8, 7))},
        {"gpu": Gpu("Orin", (8, 7)), "source": "the driver's model.onnx"},
        {"version": "10.4.0", "source": ""},
        {"gpu": Gpu("Two\nlines", (8, 7)), "source": "two\nlines.onnx"},
    ],
)
def test_refusals_are_worded_as_in_python(start: Start, tmp_path: Path, changes: dict[str, Any]) -> None:
    path = write_engine(tmp_path, **changes)
    with pytest.raises(BackendError) as theirs:
        check_compatible(EngineInfo.beside(path), path, VERSION, HERE)
    assert str(start(path).problem) == str(theirs.value)


@pytest.mark.parametrize(
    ("changes", "host_code"),
    [
        ({}, False),
        ({"version": "10.1.0", "version_compatible": True}, True),
        ({"gpu": Gpu("Another", (8, 0)), "hardware_compatible": True}, False),
        ({"version": "10.3.0.post1"}, False),
    ],
)
def test_an_engine_may_be_older_or_of_another_gpu_if_it_was_built_so(
    start: Start, tmp_path: Path, changes: dict[str, Any], host_code: bool
) -> None:
    calls = tmp_path / "calls"
    assert start(write_engine(tmp_path, **changes), calls=str(calls)).problem is None
    assert ("setEngineHostCodeAllowed" in calls.read_text()) == host_code


@pytest.mark.parametrize("pad", [*range(15, 34), 79, 80, 90, 1000])
def test_the_plan_is_told_by_its_sha256(start: Start, tmp_path: Path, pad: int) -> None:
    path = write_engine(tmp_path, pad=pad)
    assert start(path).problem is None
    path.write_text(path.read_text()[:-1])
    with pytest.raises(BackendError, match=r"is not the engine that model\.engine\.json describes, or not all of it"):
        reraise(start(path))


def test_an_engine_without_its_json_says_how_to_get_one(start: Start, tmp_path: Path) -> None:
    path = write_engine(tmp_path)
    json_path(path).unlink()
    with pytest.raises(SpecError, match=r"model\.engine\.json: no such file, .* build both with `afformer-cli engine`"):
        reraise(start(path))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"engine_version": 1', '"engine_version": 2', "engine format 2, but this version reads format 1"),
        ('"8.6"', '"new"', "compute_capability is 'new', expected two numbers like 8.7"),
        ('"10.3.0.26"', '"new"', "tensorrt.version is 'new', expected three numbers or more like 10.3.0; build the"),
        ('"10.3.0.26"', '""', "tensorrt.version is '', expected three numbers or more"),
        ('"10.3.0.26"', '"10"', "tensorrt.version is '10', expected three numbers or more"),
        ('"10.3.0.26"', '"v10.3.0"', "tensorrt.version is 'v10.3.0', expected three numbers or more"),
        ('"plan"', '"plans"', "cannot be read .*plan.*; build the engine again"),
        ('"spec_version": 1', '"spec_version": 9', "spec format 9, but this version reads format 1"),
        ("}", "", "cannot be read .*; build the engine again"),
    ],
)
def test_a_json_that_cannot_be_used_says_why(start: Start, tmp_path: Path, old: str, new: str, told: str) -> None:
    path = write_engine(tmp_path)
    beside = json_path(path)
    assert old in beside.read_text()
    beside.write_text(beside.read_text().replace(old, new))
    with pytest.raises(SpecError, match=told):
        reraise(start(path))
