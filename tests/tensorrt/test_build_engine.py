"""The course of a build, on a pretended TensorRT; `test_exports` builds with a real one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from afformer.errors import AfformerError, BackendError, ExportError, OutputError
from afformer.files import sha256
from afformer.spec import Precision
from afformer.tensorrt.build_engine import EngineReport, build_engine
from afformer.tensorrt.engine_info import EngineInfo, json_path
from afformer.tensorrt.gpu import Gpu
from afformer.tensorrt.options import EngineOptions
from afformer.tensorrt.packages import Library
from tests.builders.tensorrt_onnx import float_model, int8_model
from tests.nvidia.pretend import Machine, machine_with_gpu, machine_without
from tests.nvidia.pretend_tensorrt import Quirks, Runtime

ORIN = Gpu("Orin", (8, 7))


@pytest.fixture
def machine() -> Iterator[Machine]:
    with machine_with_gpu() as pretended:
        yield pretended


def build(folder: Path, model: Path | None = None, **options: object) -> EngineReport:
    source = model or float_model(folder)
    made = build_engine(source, folder / "model.engine", options=EngineOptions(**options))  # type: ignore[arg-type]
    return made.engine


@contextlib.contextmanager
def refused(folder: Path, quirks: Quirks, error: type[AfformerError], match: str) -> Iterator[None]:
    """One line, and nothing written."""
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with machine_with_gpu(quirks), pytest.raises(error, match=match) as caught:
        yield
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_an_engine_and_what_is_known_about_it_lie_side_by_side(tmp_path: Path, machine: Machine) -> None:
    model = float_model(tmp_path)
    report = build(tmp_path, model)
    file = EngineInfo.beside(report.path)
    assert file == report.info
    assert file.engine_sha256 == sha256(report.path)
    assert (file.source, file.source_sha256) == (model.name, sha256(model))
    assert (file.gpu, file.cuda, file.version, file.library) == (ORIN, "12.6", "10.3.0", Library.TENSORRT)
    assert report.path.read_bytes().startswith(b"plan of ")
    assert report.to_json()["bytes"] == report.bytes == report.path.stat().st_size
    assert (report.counts.asked, report.inspected) == (1, 4)  # one convolution; all layers


def test_float32_stays_float32_and_layers_can_be_inspected(tmp_path: Path, machine: Machine) -> None:
    build(tmp_path)
    (config,) = machine.tensorrt.configs
    assert config.flags == set()  # TensorFloat-32 would be on
    assert config.profiling_verbosity is machine.tensorrt.ProfilingVerbosity.DETAILED
    assert config.pools == {}


def test_options_reach_tensorrt_and_the_file(tmp_path: Path, machine: Machine) -> None:
    report = build(tmp_path, workspace_mib=64, version_compatible=True, hardware_compatible=True)
    (config,) = machine.tensorrt.configs
    assert config.pools == {"WORKSPACE": 64 << 20}
    assert config.flags == {"VERSION_COMPATIBLE"}
    assert config.hardware_compatibility_level is machine.tensorrt.HardwareCompatibilityLevel.AMPERE_PLUS
    assert (report.info.version_compatible, report.info.hardware_compatible) == (True, True)


def test_an_int8_engine_is_proven_in_the_network_and_in_the_engine(tmp_path: Path, machine: Machine) -> None:
    report = build(tmp_path, int8_model(tmp_path))
    assert report.info.spec.precision is Precision.INT8
    assert report.counts.asked == report.inspected == 1


def test_an_engine_that_came_out_in_float32_is_an_error_and_leaves_the_old_one_alone(tmp_path: Path) -> None:
    model = int8_model(tmp_path)
    with machine_with_gpu():
        build(tmp_path, model)
    with refused(tmp_path, Quirks(float_engine=True), ExportError, "int8 was asked for, but none of the"):
        build(tmp_path, model)


@pytest.mark.parametrize(
    ("quirks", "error", "match"),
    [
        (Quirks(no_start=True), BackendError, r"TensorRT 10\.3\.0 cannot start here \(CUDA init.*afformer-cli doctor"),
        (Quirks(no_parse="bad\nnode"), ExportError, r"model\.onnx: TensorRT 10\.3\.0 does not take it: bad node"),
        (
            Quirks(no_build="no tactic"),
            ExportError,
            r"model\.onnx: TensorRT 10\.3\.0 cannot build it: no tactic; .*`workspace_mib`",
        ),
        (Quirks(no_load="out of memory"), ExportError, r"cannot load the engine that it built: out of memory"),
    ],
    ids=["start", "parse", "build", "load"],
)
def test_what_tensorrt_refuses_is_one_line_and_nothing_is_written(
    tmp_path: Path, quirks: Quirks, error: type[AfformerError], match: str
) -> None:
    model = float_model(tmp_path)
    with refused(tmp_path, quirks, error, match):
        build(tmp_path, model)


def test_without_tensorrt_there_is_the_line_that_installs_it(tmp_path: Path) -> None:
    with machine_without(), pytest.raises(BackendError, match=r"TensorRT is not installed; run `pip install tensorrt"):
        build(tmp_path)


def test_asymmetric_quantization_never_reaches_tensorrt(tmp_path: Path, machine: Machine) -> None:
    with pytest.raises(ExportError, match="--target tensorrt"):
        build(tmp_path, int8_model(tmp_path, np.uint8, 128))
    assert machine.tensorrt.configs == []


def test_kernels_measured_once_are_kept_for_the_next_build(tmp_path: Path, machine: Machine) -> None:
    cache = tmp_path / "kernels.cache"
    for expected in (b"measured;", b"measured;measured;"):
        build(tmp_path, timing_cache=cache)
        assert cache.read_bytes() == expected


def test_a_timing_cache_of_another_gpu_is_an_error_and_is_left_alone(tmp_path: Path) -> None:
    cache, model = tmp_path / "kernels.cache", float_model(tmp_path)
    cache.write_bytes(b"of another GPU")
    with refused(tmp_path, Quirks(stale_cache=True), ExportError, r"kernels\.cache: is not a timing cache of TensorRT"):
        build(tmp_path, model, timing_cache=cache)


def test_a_build_that_fails_leaves_no_timing_cache(tmp_path: Path) -> None:
    model = float_model(tmp_path)
    with refused(tmp_path, Quirks(no_build="no tactic"), ExportError, "no tactic"):
        build(tmp_path, model, timing_cache=tmp_path / "kernels.cache")


@pytest.mark.parametrize("file", ["engine", "json"])
def test_a_full_disk_leaves_neither_engine_nor_json(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    def full(path: Path, *content: object, **options: object) -> int:
        path.touch()
        raise OSError(28, "No space left on device")

    model = float_model(tmp_path)
    monkeypatch.setattr(Path, "write_bytes" if file == "engine" else "write_text", full)
    with pytest.raises(OutputError, match=r"model\.engine.*cannot be written \(No space left"):
        build(tmp_path, model)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_the_model_is_never_overwritten_by_its_engine(tmp_path: Path, machine: Machine) -> None:
    model = float_model(tmp_path)
    (tmp_path / "model.engine").hardlink_to(model)
    with pytest.raises(OutputError, match="is not overwritten"):
        build_engine(model, tmp_path / "model.engine")
    assert machine.tensorrt.configs == []


def test_a_place_that_cannot_be_written_is_found_before_the_long_build(tmp_path: Path, machine: Machine) -> None:
    model = float_model(tmp_path)
    with pytest.raises(OutputError, match="cannot be created as a folder"):
        build_engine(model, model / "model.engine")
    json_path(tmp_path / "model.engine").mkdir()
    with pytest.raises(OutputError, match=r"model\.engine\.json: is a folder"):
        build_engine(model, tmp_path / "model.engine")
    assert machine.tensorrt.configs == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"timing_cache": Path("x")}, "timing_cache"),
        ({"version_compatible": True}, "version_compatible"),
        ({"hardware_compatible": True}, "hardware_compatible"),
    ],
)
def test_what_rtx_has_no_use_for_is_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(ExportError, match=f"`{named}` is for TensorRT"):
        EngineOptions(library=Library.TENSORRT_RTX, **options)  # type: ignore[arg-type]


def test_a_workspace_of_nothing_is_refused() -> None:
    with pytest.raises(ExportError, match="at least 1 MiB, got 0"):
        EngineOptions(workspace_mib=0)


def test_a_version_compatible_engine_may_bring_its_own_runtime(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Runtime] = []
    make = machine.tensorrt.Runtime

    def remembered(logger: object) -> Runtime:
        made.append(make(logger))
        return made[-1]

    monkeypatch.setattr(machine.tensorrt, "Runtime", remembered)
    for wanted in (False, True):
        build(tmp_path, version_compatible=wanted)
    assert [each.engine_host_code_allowed for each in made] == [False, True]
