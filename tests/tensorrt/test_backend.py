from __future__ import annotations

import dataclasses
import gc
import importlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from afformer import assets
from afformer.errors import AfformerError, BackendError, SpecError
from afformer.measure.comparison import compare_segmenters
from afformer.runtime.backends.registry import open_backend
from afformer.runtime.segmenter import Segmenter
from afformer.spec import ModelSpec, Precision
from afformer.tensorrt.build_engine import build_engine
from afformer.tensorrt.engine_info import EngineInfo, json_path
from afformer.tensorrt.packages import Library
from tests.builders.tiny_onnx import SPEC, variants, write_tiny_onnx
from tests.nvidia.pretend import Machine, machine_with_gpu, machine_without
from tests.nvidia.pretend_cuda import Code, PretendCuda
from tests.nvidia.pretend_tensorrt import Quirks
from tests.nvidia.real import require_gpu

FEED = np.random.default_rng(0).normal(size=(1, 3, 64, 96)).astype(np.float32)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """An engine of the pretended TensorRT 10.3 on an Orin."""
    with machine_with_gpu():
        return built(tmp_path)


@pytest.fixture
def machine(engine: Path) -> Iterator[Machine]:
    with machine_with_gpu() as pretended:
        yield pretended


def built(folder: Path, spec: ModelSpec = SPEC) -> Path:
    return build_engine(write_tiny_onnx(folder / "model.onnx", spec), folder / "model.engine").engine.path


def opened(engine: Path) -> Any:
    return open_backend(engine, device="cuda")


def line(error: pytest.ExceptionInfo[AfformerError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_it_answers_as_the_model_it_was_built_from(engine: Path, machine: Machine) -> None:
    with opened(engine) as backend, open_backend(engine.with_suffix(".onnx")) as reference:
        np.testing.assert_array_equal(backend.run(FEED), reference.run(FEED))
        assert backend.spec == SPEC
        assert backend.description == "TensorRT 10.3.0, cuda, Orin, fp32, CUDA graph"


def test_a_call_is_one_launch_of_a_graph_that_was_captured_once(engine: Path, machine: Machine) -> None:
    with opened(engine) as backend:
        for _ in range(3):
            backend.run(FEED)
        assert machine.cuda.captured == 1
        assert len(machine.cuda.alive["memory"]) == 2


def test_nothing_is_left_on_the_gpu_and_the_last_answer_outlives_the_engine(engine: Path, machine: Machine) -> None:
    backend = opened(engine)
    answer = backend.run(FEED)
    expected = answer.copy()
    backend.close()
    gc.collect()
    assert not any(machine.cuda.alive[kind] for kind in ("memory", "stream", "graph", "exec"))
    np.testing.assert_array_equal(answer, expected)
    del answer, backend
    gc.collect()
    assert machine.cuda.alive["pinned"] == {}


@pytest.mark.parametrize(
    "fails", ["cudaMalloc", "cudaMallocHost", "cudaStreamSynchronize", "cudaStreamCreateWithFlags"]
)
def test_an_engine_that_cannot_be_opened_leaves_nothing_on_the_gpu(engine: Path, machine: Machine, fails: str) -> None:
    machine.cuda.fails[fails] = Code.cudaErrorMemoryAllocation
    with pytest.raises(BackendError, match="memory is full"):
        opened(engine)
    gc.collect()
    assert not any(machine.cuda.alive.values())


def test_a_network_that_cannot_be_captured_runs_and_says_so(engine: Path) -> None:
    with machine_with_gpu(Quirks(no_capture=True)), opened(engine) as backend:
        with open_backend(engine.with_suffix(".onnx")) as reference:
            np.testing.assert_array_equal(backend.run(FEED), reference.run(FEED))
        assert "no CUDA graph (" in backend.description


def test_the_warning_about_a_missing_graph_is_one_line(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with machine_with_gpu(Quirks(no_capture=True)):
        log = importlib.import_module("afformer.tensorrt.backend")._log
        monkeypatch.setattr(log, "handlers", [])
        handler = logging.Handler()
        handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
        log.addHandler(handler)
        opened(engine).close()
    assert len(said) == 1
    assert "no CUDA graph could be captured" in said[0]


def test_a_network_that_fails_is_one_line(engine: Path) -> None:
    with machine_with_gpu(Quirks(no_run=True)), pytest.raises(BackendError) as caught:
        opened(engine)
    assert "model.engine: the engine failed" in line(caught)


def test_the_cpu_is_refused_with_the_device_to_choose(engine: Path, machine: Machine) -> None:
    with pytest.raises(BackendError) as caught:
        open_backend(engine, device="cpu")
    assert "runs on an NVIDIA GPU, not on the cpu" in line(caught)
    assert "choose `device=cuda`" in line(caught)


def test_without_nvidias_packages_there_is_the_line_that_installs_them(engine: Path) -> None:
    with machine_without(), pytest.raises(BackendError, match=r"'cuda.*pip install \"afformer\[tensorrt\]\""):
        opened(engine)
    with (
        machine_with_gpu(),
        machine_without("tensorrt"),
        pytest.raises(BackendError, match="TensorRT is not installed"),
    ):
        opened(engine)


def test_without_a_driver_there_is_one_line(engine: Path) -> None:
    with machine_with_gpu(cuda=PretendCuda(driver=None)), pytest.raises(BackendError) as caught:
        opened(engine)
    assert "no NVIDIA GPU can be used here" in line(caught)


def test_an_engine_without_its_json_says_where_to_keep_it(engine: Path, machine: Machine) -> None:
    json_path(engine).unlink()
    with pytest.raises(SpecError) as caught:
        opened(engine)
    assert "model.engine.json: cannot be read (No such file or directory)" in line(caught)


def test_a_plan_that_was_cut_or_replaced_is_never_handed_to_tensorrt(engine: Path, machine: Machine) -> None:
    engine.write_bytes(engine.read_bytes()[:-1])
    with pytest.raises(BackendError, match=r"is not the engine that model\.engine\.json describes, or not all of it"):
        opened(engine)


def test_a_plan_that_tensorrt_does_not_load_is_one_line_with_its_words(engine: Path) -> None:
    with machine_with_gpu(Quirks(no_load="magic tag\ndoes not match")), pytest.raises(BackendError) as caught:
        opened(engine)
    assert "TensorRT cannot load it (magic tag does not match)" in line(caught)


def changed(engine: Path, **fields: Any) -> Path:
    file = dataclasses.replace(EngineInfo.beside(engine), **fields)
    json_path(engine).write_text(file.to_json())
    return engine


@pytest.mark.parametrize(
    ("plans", "installed"), [("10.3.0", "10.13.0"), ("10.13.0", "10.3.0"), ("10.3.0.26", "10.3.0.30")]
)
def test_an_engine_of_another_version_names_both_and_what_to_do(engine: Path, plans: str, installed: str) -> None:
    changed(engine, version=plans)
    with machine_with_gpu(version=installed), pytest.raises(BackendError) as caught:
        opened(engine)
    assert f"was built by TensorRT {plans}, but {installed} is installed; build it again on this machine" in line(
        caught
    )
    assert ("--version-compatible" in line(caught)) == (installed != "10.3.0")


def test_a_version_compatible_engine_runs_on_later_versions_and_not_on_earlier_ones(engine: Path) -> None:
    with machine_with_gpu(version="11.4.0.106"):
        with opened(changed(engine, version_compatible=True)) as backend:
            assert backend.run(FEED).shape == (1, 4, 8, 12)
        with pytest.raises(BackendError, match=r"TensorRT 11\.5\.0 or later runs it"):
            opened(changed(engine, version="11.5.0"))


def test_an_engine_for_another_gpu_names_both(engine: Path) -> None:
    h200 = PretendCuda(gpus=(("NVIDIA H200", 9, 0),))
    with machine_with_gpu(cuda=h200), pytest.raises(BackendError) as caught:
        opened(engine)
    assert "was built for Orin (compute capability 8.7), but here is NVIDIA H200 (compute capability 9.0)" in line(
        caught
    )
    assert "--hardware-compatible" in line(caught)
    with machine_with_gpu(cuda=h200), opened(changed(engine, hardware_compatible=True)) as backend:
        assert "H200" in backend.description


def test_a_hardware_compatible_engine_needs_ampere(engine: Path) -> None:
    changed(engine, hardware_compatible=True)
    with machine_with_gpu(cuda=PretendCuda(gpus=(("T4", 7, 5),))), pytest.raises(BackendError) as caught:
        opened(engine)
    assert "compute capability 8.0 or later, but here is T4 (compute capability 7.5)" in line(caught)


def test_an_engine_for_no_gpu_in_particular_runs_on_any(engine: Path, machine: Machine) -> None:
    with opened(changed(engine, gpu=None)) as backend:
        assert backend.run(FEED).dtype == np.float32


def test_an_engine_of_rtx_asks_for_rtx(engine: Path, machine: Machine) -> None:
    changed(engine, library=Library.TENSORRT_RTX)
    with machine_without("tensorrt_rtx", "tensorrt_rtx_bindings"), pytest.raises(BackendError, match="RTX is not inst"):
        opened(engine)


@pytest.mark.parametrize("stamped", [dataclasses.replace(SPEC, input_hw=(64, 128)), variants()["bytes in"]])
def test_an_engine_that_differs_from_its_spec_is_refused(engine: Path, machine: Machine, stamped: ModelSpec) -> None:
    with pytest.raises(BackendError) as caught:
        opened(changed(engine, spec=stamped))
    assert "differs from its own spec: expected the tensors image" in line(caught)
    assert "the engine has image float32[1, 3, 64, 96] and logits float32[1, 4, 8, 12]" in line(caught)


def test_the_segmenter_runs_an_engine_like_any_model(engine: Path, machine: Machine) -> None:
    picture = np.full((50, 70, 3), 250, np.uint8)
    with Segmenter(engine, device="cuda") as segment:
        assert (segment(picture) == SPEC.num_classes - 1).all()


@pytest.mark.gpu
@pytest.mark.parametrize(("precision", "least"), [(Precision.FP32, 0.999), (Precision.FP16, 0.995)], ids=str)
def test_on_a_gpu_an_engine_sees_what_onnx_runtime_sees(tmp_path: Path, precision: Precision, least: float) -> None:
    require_gpu()
    pytest.importorskip("torch")
    from afformer.export.exporter import ExportOptions, export_checkpoint

    model, engine = tmp_path / "model.onnx", tmp_path / "model.engine"
    export_checkpoint(assets.CHECKPOINT, model, ExportOptions((360, 480)))
    report = build_engine(model, engine, precision=precision).engine
    assert report.inspected
    with open_backend(model) as ours, open_backend(engine, device="cuda") as theirs:
        assert "no CUDA graph" not in theirs.description
        result = compare_segmenters(Segmenter(ours), Segmenter(theirs), assets.pictures(), ours.spec.classes)
    assert result.pixel_agreement >= least


@pytest.mark.gpu
def test_on_a_gpu_opening_and_closing_does_not_leak(tmp_path: Path) -> None:
    require_gpu()
    from cuda.bindings import runtime as cudart

    engine = tmp_path / "model.engine"
    build_engine(assets.MODEL, engine)
    free = []
    for _ in range(6):
        with open_backend(engine, device="cuda") as backend:
            backend.run(np.zeros((1, 3, 360, 480), np.float32))
        free.append(cudart.cudaMemGetInfo()[1])
    assert free[-1] >= free[1] - (1 << 20)
