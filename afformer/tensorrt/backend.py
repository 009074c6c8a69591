"""The TensorRT backend: runs an engine on the GPU that it was built for."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from afformer.errors import BackendError
from afformer.runtime.backends.base import (
    Array,
    Backend,
    GraphTensor,
    TensorInfo,
    check_tensors,
    check_threads,
    input_tensor,
    output_tensor,
)
from afformer.runtime.choices import Device
from afformer.tensorrt import cuda
from afformer.tensorrt.compatibility import check_compatible
from afformer.tensorrt.engine_info import EngineInfo, require_engine
from afformer.tensorrt.error_log import ErrorLog, error_log
from afformer.tensorrt.packages import Library, load

_log = logging.getLogger(__name__)


class TensorRtBackend(Backend):
    """An engine that `build_engine` made, with the JSON beside it.

    Buffers are bound once. The copy to the GPU, the network and the copy back form one CUDA graph; where that cannot be
    captured, they are queued one by one, and `description` and a warning say so. The buffers serve one call at a time:
    while the GPU works for one thread, others prepare their pictures and draw.

    An engine is a program: run only those that you built yourself or trust.

    Args:
        path: The `.engine` or `.plan` file.
        device: Must be CUDA.
        threads: Without effect on a GPU.

    Raises:
        BackendError: TensorRT, the driver or the GPU is missing, or not what the engine was built for; or the device
            is not CUDA.
        SpecError: The JSON is missing, or cannot be read.
    """

    def __init__(self, path: Path | str, *, device: Device = Device.CUDA, threads: int = 0) -> None:
        path = Path(path)
        check_threads(threads)
        require_engine(path)
        if device is not Device.CUDA:
            raise BackendError(
                f"{path}: a TensorRT engine runs on an NVIDIA GPU, not on the {device.value}; choose `device=cuda`"
            )
        info = EngineInfo.beside(path)
        trt = load(info.library)
        gpu = cuda.gpu()
        check_compatible(info, path, trt.__version__, gpu)
        self.spec = info.spec
        self._turn, self._threads_own = threading.Lock(), threading.local()
        with contextlib.ExitStack() as opened:
            self._network = _Network(trt, info, path, opened)
            self._queue = self._network.queue
            problem = self._capture(opened)
            self._opened = opened.pop_all()
        graph = f"no CUDA graph ({problem})" if problem else "CUDA graph"
        precision = info.spec.precision.value
        self.description = f"{info.library.title} {trt.__version__}, cuda, {gpu.name}, {precision}, {graph}"

    def _capture(self, opened: contextlib.ExitStack) -> str:
        """Runs the network once, then captures it as a graph. Returns why there is no graph; empty if there is one."""
        network = self._network
        network.queue()
        network.stream.synchronize()
        try:
            graph = network.stream.capture(network.queue)
        except BackendError as error:
            _log.warning("every call is queued step by step, because no CUDA graph could be captured: %s", error)
            return str(error)
        opened.callback(graph.close)
        self._queue = graph.launch
        return ""

    def _run(self, image: Array) -> Array:
        answer: Array | None = getattr(self._threads_own, "answer", None)
        if answer is None:
            answer = self._threads_own.answer = np.empty_like(self._network.output)
        with self._turn:
            if self._closed:
                raise self._closed_error()
            network = self._network
            np.copyto(network.input, image)
            self._queue()
            network.stream.synchronize()
            np.copyto(answer, network.output)
        return answer

    def _close(self) -> None:
        with self._turn:
            self._opened.close()


class _Network:
    """A loaded engine with its buffers; `opened` closes what it opens."""

    def __init__(self, trt: ModuleType, info: EngineInfo, path: Path, opened: contextlib.ExitStack) -> None:
        self._errors, self._path = error_log(trt), path
        self._errors.clear()
        opened.callback(self._release)
        self._runtime: Any = trt.Runtime(self._errors.logger)
        self._engine: Any = _deserialize(self._runtime, info, path, self._errors)
        self._context: Any = self._engine.create_execution_context()
        if self._context is None:
            raise BackendError(f"{path}: TensorRT cannot set it up ({self._errors.reason()}); free GPU memory")
        feed, answer = input_tensor(info.spec), output_tensor(info.spec)
        check_tensors(_tensors(trt, self._engine), info.spec, path, kind="engine", remedy="build it again")
        self.stream = cuda.Stream()
        opened.callback(self.stream.close)
        self.input, self._device_input = self._buffers(feed, opened)
        self.output, self._device_output = self._buffers(answer, opened)

    def _buffers(self, tensor: TensorInfo, opened: contextlib.ExitStack) -> tuple[Array, cuda.DeviceMemory]:
        """A pinned array, and memory on the GPU that is bound to the tensor."""
        memory = cuda.DeviceMemory(math.prod(tensor.shape) * tensor.dtype.itemsize)
        opened.callback(memory.close)
        if not self._context.set_tensor_address(tensor.name, memory.address):
            raise BackendError(f"{self._path}: TensorRT takes no memory for '{tensor.name}' ({self._errors.reason()})")
        return cuda.pinned(tensor.shape, tensor.dtype), memory

    def queue(self) -> None:
        """Queues one run: the input to the GPU, the network, the output back."""
        self._errors.clear()
        self.stream.copy_in(self._device_input, self.input)
        if not self._context.execute_async_v3(self.stream.handle):
            raise BackendError(f"{self._path}: the engine failed: {self._errors.reason()}")
        self.stream.copy_out(self.output, self._device_output)

    def _release(self) -> None:
        """Frees in this order: a context must not outlive its engine, nor an engine its runtime."""
        self._context = None
        self._engine = None
        self._runtime = None


def _deserialize(runtime: Any, info: EngineInfo, path: Path, errors: ErrorLog) -> Any:
    content = info.read_engine(path)
    if info.version_compatible and info.library is Library.TENSORRT:
        runtime.engine_host_code_allowed = True  # such an engine contains a small runtime of its own version
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        raise BackendError(f"{path}: TensorRT cannot load it ({errors.reason()}); build it again on this machine")
    return engine


def _tensors(trt: ModuleType, engine: Any) -> list[GraphTensor]:
    """Name, type and shape of the inputs, then of the outputs."""
    kinds = {trt.DataType.FLOAT: "float32", trt.DataType.UINT8: "uint8", trt.DataType.INT32: "int32"}
    names: list[str] = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    return [
        GraphTensor(name, kinds.get(engine.get_tensor_dtype(name), "?"), tuple(engine.get_tensor_shape(name)))
        for name in names
    ]
