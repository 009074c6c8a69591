"""TensorRT engines in C++: against stand-ins for NVIDIA's two libraries, against their real headers, and on a GPU."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from afformer import assets
from afformer.errors import BackendError, SpecError
from afformer.images import read_image
from afformer.runtime import Segmenter
from afformer.runtime.backends.base import check_threads
from afformer.spec import ModelSpec
from afformer.tensorrt.engine_info import EngineInfo, json_path
from tests.builders.fake_backend import FakeBackend
from tests.cpp.conftest import CPP, MODEST, PROGRAMS_ALONE, WARNINGS, build, run
from tests.cpp.driver import Driver
from tests.cpp.fake_engines import BYTES, SPEC, infer, noise, reraise, write_engine

Start = Callable[..., Driver]


def calls_in(path: Path) -> list[str]:
    """What was called, in order, but for the switching of GPUs around it."""
    return [call for call in path.read_text().split() if call not in ("cudaGetDevice", "cudaSetDevice")]


@pytest.mark.parametrize("spec", [SPEC, BYTES, dataclasses.replace(SPEC, batch=3)], ids=["float", "bytes", "batch"])
def test_class_maps_are_those_of_python(start: Start, tmp_path: Path, spec: ModelSpec) -> None:
    driver = start(write_engine(tmp_path, spec))
    with Segmenter(FakeBackend(spec, infer(spec))) as segment:
        for ours, theirs in zip(driver.batch(noise()), segment.segment_batch(noise()), strict=True):
            assert ours.shape == theirs.shape
            assert (ours == theirs).mean() >= 0.9999
            assert len(np.unique(ours)) > 2
    assert driver.description == "TensorRT 10.3.0, cuda, Fake GPU, fp16, CUDA graph"


def test_an_engine_in_memory_runs_like_its_file(start: Start, tmp_path: Path) -> None:
    path = write_engine(tmp_path)
    ours, theirs = start(path, "--from", "memory"), start(path)
    assert ours.description == theirs.description
    for picture in noise():
        assert np.array_equal(ours(picture), theirs(picture))


def test_what_is_wrong_with_an_engine_in_memory_is_said_without_a_file(start: Start, tmp_path: Path) -> None:
    path = write_engine(tmp_path, version="10.4.0")
    with pytest.raises(
        BackendError, match=r"^the engine in memory: was built by TensorRT 10\.4\.0.* -o model\.engine "
    ):
        reraise(start(path, "--from", "memory"))
    path = write_engine(tmp_path)
    path.write_text(path.read_text() + " ")
    with pytest.raises(BackendError, match=r"^the engine in memory: is not the engine that its JSON describes, or not"):
        reraise(start(path, "--from", "memory"))
    json_path(path).write_text("{}")
    with pytest.raises(SpecError, match=r"^the engine's JSON in memory: cannot be read \(.*engine_version.*\); build"):
        reraise(start(path, "--from", "memory"))


def test_an_engine_runs_on_the_gpu_of_the_thread_that_opened_it(start: Start, tmp_path: Path) -> None:
    driver = start(write_engine(tmp_path), current="1")
    with Segmenter(FakeBackend(SPEC, infer(SPEC))) as segment:
        for picture in noise():
            assert (driver(picture) == segment(picture)).mean() >= 0.9999


def test_tensors_are_bound_once_and_a_frame_is_one_graph(start: Start, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    driver = start(write_engine(tmp_path), calls=str(calls))
    opening = calls_in(calls)
    queued = ["cudaMemcpyAsync", "enqueueV3", "cudaMemcpyAsync"]
    assert opening[opening.index("setTensorAddress") :] == [
        *2 * ["setTensorAddress"],
        *queued,
        "cudaStreamSynchronize",
        "cudaStreamBeginCapture",
        *queued,
        *("cudaStreamEndCapture", "cudaGraphInstantiateWithFlags", "cudaGraphDestroy"),
    ]
    for picture in noise():
        driver(picture)
    assert calls_in(calls)[len(opening) :] == 3 * ["cudaGraphLaunch", "cudaStreamSynchronize"]


def test_each_thing_is_freed_before_what_it_was_made_from(start: Start, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    driver = start(write_engine(tmp_path), calls=str(calls))
    opened = len(calls_in(calls))
    driver.close()
    freed = calls_in(calls)[opened:]
    assert freed[:2] == ["cudaGraphExecDestroy", "cudaStreamDestroy"]
    assert freed[-3:] == ["~IExecutionContext", "~ICudaEngine", "~IRuntime"]
    assert Counter(freed[2:-3]) == {"cudaFree": 2, "cudaFreeHost": 2}


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("cudaGetDeviceCount", "CUDA cannot count the GPUs: unknown error (cudaErrorUnknown)"),
        ("cudaGetDevice", "CUDA cannot tell the current GPU"),
        ("cudaGetDeviceProperties", "CUDA cannot tell what the GPU is"),
        ("cudaFree:1", "CUDA cannot start on the GPU"),
        ("createInferRuntime", "model.engine: TensorRT cannot start (createInferRuntime: Error Code 1: broken); "),
        ("deserializeCudaEngine", "TensorRT cannot load it (deserializeCudaEngine: Error Code 1: broken); build it"),
        ("createExecutionContext", "TensorRT cannot set it up (createExecutionContext: Error Code 1: broken); free"),
        ("cudaStreamCreateWithFlags", "CUDA cannot make a stream"),
        ("cudaHostAlloc:2", "CUDA cannot reserve page-locked memory for the model's tensors: out of memory"),
        ("cudaMalloc:2", "CUDA cannot reserve memory on the GPU for the model's tensors: out of memory"),
        ("setTensorAddress:2", "TensorRT takes no memory for its tensors (setTensorAddress: Error Code 1: broken)"),
        ("cudaMemcpyAsync:1", "CUDA cannot copy the input to the GPU"),
        ("enqueueV3:1", "model.engine: the engine failed (enqueueV3: Error Code 1: broken)"),
        ("cudaMemcpyAsync:2", "CUDA cannot copy the output from the GPU"),
        ("cudaStreamSynchronize:1", "CUDA cannot finish the engine's run"),
    ],
)
def test_a_call_that_fails_while_opening_is_one_line(start: Start, tmp_path: Path, call: str, told: str) -> None:
    problem = start(write_engine(tmp_path), fail=call).problem
    assert isinstance(problem, BackendError)
    assert told in str(problem)
    assert "\n" not in str(problem)


@pytest.mark.parametrize(
    "call", ["cudaStreamBeginCapture", "enqueueV3:2", "cudaStreamEndCapture", "cudaGraphInstantiateWithFlags"]
)
def test_without_a_graph_the_engine_runs_and_says_so(start: Start, tmp_path: Path, call: str) -> None:
    driver = start(write_engine(tmp_path), fail=call)
    assert "no CUDA graph (" in driver.description
    with Segmenter(FakeBackend(SPEC, infer(SPEC))) as segment:
        for picture in noise():
            assert (driver(picture) == segment(picture)).mean() >= 0.9999


@pytest.mark.parametrize("call", ["cudaGraphLaunch:2", "cudaStreamSynchronize:3"])
def test_a_frame_that_fails_is_an_error_and_the_next_one_runs(start: Start, tmp_path: Path, call: str) -> None:
    driver = start(write_engine(tmp_path), fail=call)
    first, *_ = noise()
    expected = driver(first)
    with pytest.raises(BackendError, match=r"CUDA cannot (run the engine|finish the engine's run): unknown error"):
        driver(first)
    assert np.array_equal(driver(first), expected)


@pytest.mark.parametrize(
    ("gpus", "told"),
    [
        ("no driver", r"no NVIDIA driver for CUDA 12\.6: unknown error; install or update the driver"),
        ("none", "CUDA sees no GPU; check `nvidia-smi` and CUDA_VISIBLE_DEVICES"),
    ],
)
def test_a_machine_without_a_gpu_says_what_is_missing(start: Start, tmp_path: Path, gpus: str, told: str) -> None:
    with pytest.raises(BackendError, match=told):
        reraise(start(write_engine(tmp_path), gpus=gpus))


def test_an_engine_is_not_run_on_the_cpu(start: Start, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="runs on an NVIDIA GPU, not on the cpu; choose the device cuda"):
        reraise(start(write_engine(tmp_path), "--device", "cpu"))


def test_an_engine_runs_on_the_gpu_whether_told_or_not(start: Start, tmp_path: Path) -> None:
    path = write_engine(tmp_path)
    told, untold = start(path, "--device", "cuda"), start(path)
    assert told.description == untold.description == "TensorRT 10.3.0, cuda, Fake GPU, fp16, CUDA graph"
    for picture in noise():
        assert np.array_equal(told(picture), untold(picture))


@pytest.mark.parametrize("threads", ["-1", "1000000"])
def test_thread_counts_that_cannot_be_are_refused_as_in_python(start: Start, tmp_path: Path, threads: str) -> None:
    with pytest.raises(BackendError) as expected:
        check_threads(int(threads))
    common = str(expected.value).partition(" to ")[0]  # Python counts the machine's cores, C++ those it may use
    assert str(start(write_engine(tmp_path), "--threads", threads).problem).startswith(common)


def test_tensors_that_are_not_those_of_the_spec_are_refused(start: Start, tmp_path: Path) -> None:
    path = write_engine(tmp_path)
    beside = json_path(path)
    beside.write_text(EngineInfo.beside(path).to_json().replace("40,\n      61", "48,\n      64"))
    with pytest.raises(BackendError) as refused:
        reraise(start(path))
    assert str(refused.value) == (
        f"{path}: differs from its own spec: expected the tensors image float32[1, 3, 48, 64] and "
        "logits float32[1, 5, 6, 8], but the engine has image float32[1, 3, 40, 61] and logits float32[1, 5, 5, 8]; "
        "build it again"
    )


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir])
def test_an_engine_that_is_not_there_is_an_error(start: Start, tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "nothing.engine"
    make(path)
    with pytest.raises(BackendError, match=r"nothing\.engine: no such engine file"):
        reraise(start(path))


def test_what_tensorrt_says_is_cut_between_characters(start: Start, tmp_path: Path) -> None:
    problem = start(write_engine(tmp_path), fail="deserializeCudaEngine", complaint="€" * 1000).problem
    assert str(problem).startswith(f"{tmp_path / 'model.engine'}: TensorRT cannot load it (deserializeCudaEngine: €")
    assert str(problem).endswith("€); build it again on this machine")


def test_it_compiles_with_the_headers_of_nvidia(tools: None) -> None:
    headers = [
        header_folder("AFFORMER_TENSORRT_INCLUDE", "NvInferRuntime.h"),
        header_folder("AFFORMER_CUDA_INCLUDE", "cuda_runtime_api.h"),
    ]
    system = [flag for folder in headers for flag in ("-isystem", folder)]
    flags = ("-std=c++17", *WARNINGS, "-fsyntax-only", "-I", CPP / "include")
    run("c++", *flags, *system, *sorted((CPP / "src" / "tensorrt").glob("*.cpp")))


@pytest.mark.gpu
def test_a_real_engine_gives_the_class_maps_of_python(tmp_path: Path, tools: None) -> None:
    pytest.importorskip("tensorrt", reason="TensorRT is not installed")
    pytest.importorskip("cuda.bindings", reason="the package cuda-bindings is not installed")
    smi = shutil.which("nvidia-smi")
    if smi is None or subprocess.run([smi], capture_output=True, check=False).returncode:
        pytest.skip("there is no NVIDIA GPU")
    library = os.environ.get("AFFORMER_TENSORRT_LIBRARY")
    flags = [
        f"-DTENSORRT_INCLUDE_DIR={header_folder('AFFORMER_TENSORRT_INCLUDE', 'NvInferRuntime.h')}",
        f"-DTENSORRT_CUDART_INCLUDE_DIR={header_folder('AFFORMER_CUDA_INCLUDE', 'cuda_runtime_api.h')}",
        *([f"-DTENSORRT_LIBRARY={library}"] if library else []),
        *("-DAFFORMER_WITH_TENSORRT=ON", *PROGRAMS_ALONE),
    ]
    build(CPP, tmp_path / "build", *MODEST, *flags, targets=("afformer-driver",))
    engine = tmp_path / "model.engine"
    run(sys.executable, "-c", "from afformer.cli import main; main()", "engine", assets.MODEL, "-o", engine)
    driver = Driver([tmp_path / "build" / "tests" / "afformer-driver", engine], os.environ)
    with Segmenter(engine) as segment:
        for picture in map(read_image, assets.pictures()):
            assert (driver(picture) == segment(picture)).mean() >= 0.9999
    assert driver.description.endswith("CUDA graph")
    driver.close()


def header_folder(variable: str, header: str) -> Path:
    """Where one of NVIDIA's headers is: in the folder that a variable names, or where their packages put it."""
    usual = [Path("/usr/local/cuda/include"), *sorted(Path("/usr/include").glob("*-linux-gnu")), Path("/usr/include")]
    for folder in [Path(os.environ[variable])] if variable in os.environ else usual:
        if (folder / header).is_file():
            return folder
    pytest.skip(f"{header} is not found; name its folder with {variable}")
