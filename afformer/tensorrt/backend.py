"""TensorRT as a backend: an engine file on the GPU that it was built for."""

from __future__ import annotations

import contextlib
import logging
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from afformer.errors import BackendError
from afformer.runtime.backends.base import (
    Array,
    Backend,
    TensorInfo,
    check_tensors,
    check_threads,
    input_tensor,
    output_tensor,
)
from afformer.runtime.choices import Device
from afformer.tensorrt import cuda
from afformer.tensorrt.packages import Journal, journal, load, version_numbers
from afformer.tensorrt.plan_file import EngineFile, Gpu, Library, require_plan

_AMPERE = (8, 0)
_log = logging.getLogger(__name__)


class TensorRtBackend(Backend):
    """An engine of `afformer-cli engine`, with the JSON beside it.

    Buffers are bound once, and the copies to and from the GPU and the network between them are one CUDA graph. Where
    that cannot be captured, they are queued one by one; `description` and a warning say so.

    An engine is a program: run only those that you built yourself or trust.

    Args:
        path: The `.engine` or `.plan` file.
        device: Must be CUDA.
        threads: Of no use to a GPU.

    Raises:
        BackendError: TensorRT, the driver or the GPU is missing, or not what the engine was built with; or the device
            is not CUDA.
        SpecError: The JSON is not there, or cannot be read.
    """

    def __init__(self, path: Path | str, *, device: Device = Device.CUDA, threads: int = 0) -> None:
        path = Path(path)
        check_threads(threads)
        require_plan(path)
        if device is not Device.CUDA:
            raise BackendError(
                f"{path}: a TensorRT engine runs on an NVIDIA GPU, not on the {device.value}; choose the device cuda "
                "(--device cuda)"
            )
        file = EngineFile.beside(path)
        trt = load(file.library)
        gpu = cuda.gpu()
        check_fit(file, path, trt.__version__, gpu)
        self.spec = file.spec
        with contextlib.ExitStack() as opened:
            self._network = _Network(trt, file, path, opened)
            self._queue = self._network.queue
            without = self._capture(opened)
            self._opened = opened.pop_all()
        graph = f"no CUDA graph ({without})" if without else "CUDA graph"
        precision = file.spec.precision.value
        self.description = f"{file.library.title} {trt.__version__}, cuda, {gpu.name}, {precision}, {graph}"

    def _capture(self, opened: contextlib.ExitStack) -> str:
        """Runs the network for the first time, then makes a graph of it; gives the reason if there is none."""
        network = self._network
        network.queue()
        network.stream.synchronize()
        try:
            graph = network.stream.capture(network.queue)
        except BackendError as error:
            _log.warning("every call is queued piece by piece, because no CUDA graph could be captured: %s", error)
            return str(error)
        opened.callback(graph.close)
        self._queue = graph.launch
        return ""

    def _run(self, image: Array) -> Array:
        network = self._network
        np.copyto(network.input, image)
        self._queue()
        network.stream.synchronize()
        return network.output

    def _close(self) -> None:
        self._opened.close()
        del self._network, self._queue


def check_fit(file: EngineFile, path: Path, version: str, gpu: Gpu) -> None:
    """Whether a plan can be run here.

    Args:
        file: What is known of it.
        path: Names it in errors.
        version: Of the library that is installed.
        gpu: What is there.

    Raises:
        BackendError: It was built by another version or for another GPU.
    """
    remedy = f"build it again on this machine (`{file.command(path.name)}`)"
    title, wanted, got = file.library.title, version_numbers(file.version), version_numbers(version)
    common = min(len(wanted), len(got))
    newer = got[:common] > wanted[:common]
    if got[:common] != wanted[:common] and not (newer and file.version_compatible):
        hint = f"; {title} {file.version} or later runs it" if file.version_compatible else ""
        raise BackendError(
            f"{path}: was built by {title} {file.version}, but {version} is installed{hint}; {remedy}"
            + ("" if file.version_compatible or not newer else ", or once with --version-compatible")
        )
    if file.gpu is None:
        return
    if file.hardware_compatible:
        if gpu.compute_capability < _AMPERE:
            raise BackendError(f"{path}: runs on GPUs of compute capability 8.0 or later, but here is {gpu}; {remedy}")
    elif file.gpu != gpu:
        raise BackendError(
            f"{path}: was built for {file.gpu}, but here is {gpu}; {remedy}, or once with --hardware-compatible"
        )


class _Network:
    """A plan that is loaded, with its buffers; what it opens is closed with `opened`."""

    def __init__(self, trt: ModuleType, file: EngineFile, path: Path, opened: contextlib.ExitStack) -> None:
        self._journal, self._path = journal(trt), path
        self._journal.clear()
        opened.callback(self._release)
        self._runtime: Any = trt.Runtime(self._journal.logger)
        self._engine: Any = _deserialize(self._runtime, file, path, self._journal)
        self._context: Any = self._engine.create_execution_context()
        if self._context is None:
            raise BackendError(f"{path}: TensorRT cannot set it up ({self._journal.reason()}); free GPU memory")
        feed, answer = input_tensor(file.spec), output_tensor(file.spec)
        check_tensors(_tensors(trt, self._engine), file.spec, path, kind="engine", remedy="build it again")
        self.stream = cuda.Stream()
        opened.callback(self.stream.close)
        self.input, self._device_input = self._buffers(feed, opened)
        self.output, self._device_output = self._buffers(answer, opened)

    def _buffers(self, tensor: TensorInfo, opened: contextlib.ExitStack) -> tuple[Array, cuda.DeviceMemory]:
        """A pinned array and memory on the GPU, the latter bound to the tensor."""
        memory = cuda.DeviceMemory(math.prod(tensor.shape) * tensor.dtype.itemsize)
        opened.callback(memory.close)
        if not self._context.set_tensor_address(tensor.name, memory.address):
            raise BackendError(f"{self._path}: TensorRT takes no memory for '{tensor.name}' ({self._journal.reason()})")
        return cuda.pinned(tensor.shape, tensor.dtype), memory

    def queue(self) -> None:
        """Queues one run: the input to the GPU, the network, the output back."""
        self._journal.clear()
        self.stream.copy_in(self._device_input, self.input)
        if not self._context.execute_async_v3(self.stream.handle):
            raise BackendError(f"{self._path}: the engine failed: {self._journal.reason()}")
        self.stream.copy_out(self.output, self._device_output)

    def _release(self) -> None:
        """Lets go in this order: a context must not outlive its engine, nor an engine its runtime."""
        self._context = None
        self._engine = None
        self._runtime = None


def _deserialize(runtime: Any, file: EngineFile, path: Path, complaints: Journal) -> Any:
    plan = file.read_plan(path)
    if file.version_compatible and file.library is Library.TENSORRT:
        runtime.engine_host_code_allowed = True  # such a plan brings a small runtime of its own version along
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise BackendError(f"{path}: TensorRT cannot load it ({complaints.reason()}); build it again on this machine")
    return engine


def _tensors(trt: ModuleType, engine: Any) -> list[tuple[str, str, tuple[int, ...]]]:
    """Name, type and shape of the inputs, then of the outputs."""
    kinds = {trt.DataType.FLOAT: "float32", trt.DataType.UINT8: "uint8", trt.DataType.INT32: "int32"}
    names: list[str] = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    return [
        (name, kinds.get(engine.get_tensor_dtype(name), "?"), tuple(engine.get_tensor_shape(name))) for name in names
    ]
