"""The few CUDA calls that an engine needs, each with its return code checked.

Needs the package `cuda-bindings`, which imports without a driver; every call then fails with one clear line.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from cuda.bindings import runtime as cudart

from afformer.errors import BackendError
from afformer.runtime.backends.base import Array
from afformer.tensorrt.gpu import Gpu, check_driver


def gpus() -> list[Gpu]:
    """The GPUs of this machine that CUDA_VISIBLE_DEVICES does not hide.

    Raises:
        BackendError: There is no GPU, or no driver that this version of cuda-bindings can use.
    """
    found = []
    for index in range(_call(cudart.cudaGetDeviceCount)):
        properties = _call(cudart.cudaGetDeviceProperties, index)
        found.append(Gpu(properties.name.decode(errors="replace"), (properties.major, properties.minor)))
    return found


def gpu() -> Gpu:
    """The first GPU, which is the one in use.

    Raises:
        BackendError: As `gpus`.
    """
    return gpus()[0]


def driver_version() -> tuple[int, int] | None:
    """The newest CUDA version that the driver supports; None without a driver."""
    number = _call(cudart.cudaDriverGetVersion)
    return (number // 1000, number % 1000 // 10) if number else None


def pinned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """An array in pinned memory, which the GPU reads and writes directly; freed with the last array that views it."""
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    address = int(_call(cudart.cudaMallocHost, size))
    memory = (ctypes.c_uint8 * size).from_address(address)
    # not at exit: the driver may be gone by then, and the system takes the memory back
    weakref.finalize(memory, _call, cudart.cudaFreeHost, address).atexit = False
    return np.ndarray(shape, kind, memoryview(memory))


class DeviceMemory:
    """A block of memory on the GPU."""

    def __init__(self, size: int) -> None:
        self.address = int(_call(cudart.cudaMalloc, size))

    def close(self) -> None:
        """Frees the memory."""
        _call(cudart.cudaFree, self.address)


class Stream:
    """A CUDA stream: work queued here runs in order and does not wait for other streams."""

    def __init__(self) -> None:
        self._handle = _call(cudart.cudaStreamCreateWithFlags, cudart.cudaStreamNonBlocking)

    @property
    def handle(self) -> int:
        """The stream as other libraries take it."""
        return int(self._handle)

    def copy_in(self, target: DeviceMemory, source: Array) -> None:
        """Queues a copy of a pinned array to the GPU."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        _call(cudart.cudaMemcpyAsync, target.address, source.ctypes.data, source.nbytes, kind, self._handle)

    def copy_out(self, target: Array, source: DeviceMemory) -> None:
        """Queues a copy from the GPU to a pinned array."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        _call(cudart.cudaMemcpyAsync, target.ctypes.data, source.address, target.nbytes, kind, self._handle)

    def synchronize(self) -> None:
        """Waits until all queued work is done."""
        _call(cudart.cudaStreamSynchronize, self._handle)

    def capture(self, queue: Callable[[], None]) -> Graph:
        """Records all work that `queue` queues here as a graph, without running it.

        Raises:
            BackendError: Some of the work cannot be captured. The stream remains usable.
        """
        # thread-local: other threads may call CUDA meanwhile
        mode = cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        _call(cudart.cudaStreamBeginCapture, self._handle, mode)
        try:
            queue()
        except BaseException:
            with contextlib.suppress(BackendError):  # a consequence of the error that is being raised
                _call(cudart.cudaGraphDestroy, _call(cudart.cudaStreamEndCapture, self._handle))
            raise
        captured = _call(cudart.cudaStreamEndCapture, self._handle)
        try:
            return Graph(_call(cudart.cudaGraphInstantiate, captured, 0), self._handle)
        finally:
            _call(cudart.cudaGraphDestroy, captured)

    def close(self) -> None:
        """Frees the stream."""
        _call(cudart.cudaStreamDestroy, self._handle)


class Graph:
    """Captured work that one call queues again."""

    def __init__(self, executable: Any, stream: Any) -> None:
        self._executable, self._stream = executable, stream

    def launch(self) -> None:
        """Queues the work."""
        _call(cudart.cudaGraphLaunch, self._executable, self._stream)

    def close(self) -> None:
        """Frees the graph."""
        _call(cudart.cudaGraphExecDestroy, self._executable)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a CUDA function, checks its return code, and returns what else it gives."""
    code, *values = function(*arguments)
    if code != cudart.cudaError_t.cudaSuccess:
        raise BackendError(_explained(code))
    return values[0] if values else None


def _explained(code: Any) -> str:
    error = cudart.cudaError_t
    if code == error.cudaErrorInsufficientDriver and (driver := driver_version()):
        check_driver(*driver)
        return (
            f"the NVIDIA driver supports CUDA {driver[0]}.{driver[1]}, but cuda-bindings needs a later one; run "
            f'`pip install "cuda-bindings<{driver[0] + 1}"`, or install a later driver'
        )
    if code in (error.cudaErrorNoDevice, error.cudaErrorInsufficientDriver, error.cudaErrorStubLibrary):
        return f"no NVIDIA GPU can be used here ({_text(code)}); install NVIDIA's driver and look with nvidia-smi"
    if code == error.cudaErrorMemoryAllocation:
        return "the GPU's memory is full; close other programs that use it"
    return f"CUDA failed: {_text(code)}"


def _text(code: Any) -> str:
    name, words = (function(code)[1] for function in (cudart.cudaGetErrorName, cudart.cudaGetErrorString))
    return f"{name.decode()}: {words.decode()}"
