from __future__ import annotations

import ast
import gc
import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from afformer.errors import BackendError
from afformer.tensorrt.gpu import Gpu
from tests.nvidia.pretend import machine_with_gpu
from tests.nvidia.pretend_cuda import Code, PretendCuda


@pytest.fixture
def machine() -> PretendCuda:
    return PretendCuda(gpus=(("Orin", 8, 7), ("H200", 9, 0)))


@pytest.fixture
def cuda(machine: PretendCuda) -> Iterator[Any]:
    with machine_with_gpu(cuda=machine):
        yield importlib.import_module("afformer.tensorrt.cuda")


def test_gpus_have_names_and_capabilities(cuda: Any) -> None:
    assert cuda.gpus() == [Gpu("Orin", (8, 7)), Gpu("H200", (9, 0))]
    assert cuda.gpu() == Gpu("Orin", (8, 7))
    assert cuda.driver_version() == (12, 6)


def test_pinned_arrays_are_arrays_that_keep_their_memory(cuda: Any, machine: PretendCuda) -> None:
    array = cuda.pinned((2, 3), np.float32)
    array[:] = np.arange(6).reshape(2, 3)
    row = array[1]
    del array
    gc.collect()
    assert row.tolist() == [3, 4, 5]
    assert len(machine.alive["pinned"]) == 1
    del row
    gc.collect()
    assert machine.alive["pinned"] == {}


def test_what_is_copied_in_comes_out_again(cuda: Any) -> None:
    source, target = cuda.pinned((4,), np.uint8), cuda.pinned((4,), np.uint8)
    source[:] = (1, 2, 3, 4)
    memory, stream = cuda.DeviceMemory(4), cuda.Stream()
    stream.copy_in(memory, source)
    stream.copy_out(target, memory)
    stream.synchronize()
    assert target.tolist() == [1, 2, 3, 4]


def test_a_graph_does_what_was_captured_each_time_it_is_launched(cuda: Any, machine: PretendCuda) -> None:
    source, target = cuda.pinned((1,), np.uint8), cuda.pinned((1,), np.uint8)
    memory, stream = cuda.DeviceMemory(1), cuda.Stream()

    def there_and_back() -> None:
        stream.copy_in(memory, source)
        stream.copy_out(target, memory)

    graph = stream.capture(there_and_back)
    assert target[0] == 0, "nothing is done while it is captured"
    for value in (3, 5):
        source[0] = value
        graph.launch()
        stream.synchronize()
        assert target[0] == value
    assert machine.alive["graph"] == {}
    for thing in (graph, memory, stream):
        thing.close()
    assert not any(machine.alive[kind] for kind in ("exec", "memory", "stream"))


def test_a_capture_that_fails_leaves_the_stream_usable(cuda: Any, machine: PretendCuda) -> None:
    stream = cuda.Stream()

    def fails() -> None:
        raise BackendError("cannot be captured")

    with pytest.raises(BackendError, match="cannot be captured"):
        stream.capture(fails)
    stream.synchronize()
    assert machine.alive["graph"] == {}


def test_a_graph_that_cannot_be_made_is_freed(cuda: Any, machine: PretendCuda) -> None:
    machine.fails["cudaGraphInstantiate"] = Code.cudaErrorStreamCaptureUnsupported
    with pytest.raises(BackendError, match="cudaErrorStreamCaptureUnsupported"):
        cuda.Stream().capture(lambda: None)
    assert machine.alive["graph"] == {}


def test_every_failure_is_one_line_with_cudas_words(cuda: Any, machine: PretendCuda) -> None:
    stream = cuda.Stream()
    machine.fails["cudaStreamSynchronize"] = Code.cudaErrorStreamCaptureUnsupported
    with pytest.raises(BackendError, match=r"CUDA failed: cudaErrorStreamCaptureUnsupported: in the words of CUDA"):
        stream.synchronize()
    machine.fails["cudaMalloc"] = Code.cudaErrorMemoryAllocation
    with pytest.raises(BackendError, match="the GPU's memory is full"):
        cuda.DeviceMemory(1)


def test_without_a_driver_or_a_gpu_there_is_one_line_that_says_what_to_install(cuda: Any, machine: PretendCuda) -> None:
    machine.fails["cudaGetDeviceCount"] = Code.cudaErrorNoDevice
    with pytest.raises(BackendError, match=r"no NVIDIA GPU can be used here \(cudaErrorNoDevice.*install NVIDIA's dr"):
        cuda.gpu()
    machine.driver = None
    assert cuda.driver_version() is None
    with pytest.raises(BackendError, match=r"no NVIDIA GPU can be used here \(cudaErrorInsufficientDriver"):
        cuda.gpu()


def test_a_driver_that_is_older_than_the_bindings_is_told_which_ones_it_can_use(
    cuda: Any, machine: PretendCuda
) -> None:
    machine.fails["cudaGetDeviceCount"] = Code.cudaErrorInsufficientDriver
    with pytest.raises(BackendError, match=r'driver supports CUDA 12\.6.*`pip install "cuda-bindings<13"`'):
        cuda.gpu()
    machine.driver = (11, 8)
    with pytest.raises(
        BackendError, match=r"supports CUDA 11\.8, but engines need a driver for CUDA 12 or later; install a"
    ):
        cuda.gpu()


def test_the_real_bindings_have_every_name_that_is_used() -> None:
    cudart = pytest.importorskip("cuda.bindings.runtime", reason="cuda-bindings is not installed")
    from afformer.tensorrt import cuda

    tree = ast.parse(inspect.getsource(cuda))
    chains = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used = {chain.split(".")[1] for chain in chains if chain.startswith("cudart.")}
    assert {"cudaMalloc", "cudaGraphLaunch"} <= used
    assert {name for name in used if not hasattr(cudart, name)} == set()
    errors = {chain.split(".")[1] for chain in chains if chain.startswith("error.cudaError")}
    assert len(errors) == 4
    assert {name for name in errors if not hasattr(cudart.cudaError_t, name)} == set()


def test_the_real_bindings_without_a_driver_give_the_same_line() -> None:
    cudart = pytest.importorskip("cuda.bindings.runtime", reason="cuda-bindings is not installed")
    from afformer.tensorrt import cuda

    if cudart.cudaGetDeviceCount()[1]:
        pytest.skip("there is a GPU")
    for attempt in (cuda.gpu, cuda.Stream, lambda: cuda.DeviceMemory(8), lambda: cuda.pinned((2,), np.float32)):
        with pytest.raises(BackendError, match=r"no NVIDIA GPU can be used here|the NVIDIA driver supports CUDA"):
            attempt()
