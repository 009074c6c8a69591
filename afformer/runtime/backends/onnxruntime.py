"""ONNX Runtime on the CPU, or on CUDA with its own kernels or through TensorRT."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from afformer.errors import BackendError
from afformer.files import make_folder
from afformer.runtime.backends.base import (
    Array,
    Backend,
    GraphTensor,
    TensorInfo,
    check_tensors,
    check_threads,
    has_utf8_name,
    input_tensor,
    output_tensor,
)
from afformer.runtime.backends.cuda_graph import CudaGraph, GraphRefusedError, is_refusal, not_recorded
from afformer.runtime.backends.foreign_tensors import Run, measured_output, named_tensors
from afformer.runtime.backends.providers import CPU, TENSORRT, Providers, providers_of, tensorrt_providers
from afformer.runtime.backends.tensorrt_libraries import load_tensorrt_10
from afformer.runtime.choices import Device
from afformer.spec import METADATA_KEY, ModelSpec, Precision
from afformer.spec_file import decide_spec
from afformer.telemetry import without_telemetry
from afformer.wording import first_line

with without_telemetry():
    import onnxruntime as ort

log = logging.getLogger(__name__)

_SILENT = 4
_SPIN_US = "100"
"""How long a thread without work waits actively between two operators. ONNX Runtime's own time is longer: that makes no
call faster on an idle machine, and calls far slower where other programs want the cores."""
_TYPES = {"tensor(float)": "float32", "tensor(double)": "float64"}
"""Numpy's names of types that ONNX Runtime calls otherwise; the rest are alike, `tensor(int32)`."""
_NOTHING_ON_CPU = "session.disable_cpu_ep_fallback"
_REFUSED = "fallback to CPU EP has been explicitly disabled"


class OnnxRuntimeBackend(Backend):
    """An exported model on ONNX Runtime; on a GPU with a CUDA graph, unless the model has operators that rule it out.

    Args:
        threads: Threads inside one operator; 0 leaves the choice to ONNX Runtime (the physical cores).
        spec: What is said of a model that has no spec of its own.

    Raises:
        BackendError: The file is missing, not an ONNX model, or differs from its spec; the device is missing; or the
            model is INT8 and the device CUDA, whose kernels would compute in float.
        SpecError: The model has no spec, or an unreadable one, or contradicts `spec`.
    """

    def __init__(
        self, path: Path | str, *, device: Device = Device.CPU, threads: int = 0, spec: ModelSpec | None = None
    ) -> None:
        path = Path(path)
        check_threads(threads)
        providers = self._providers(path, device, spec)
        try:
            self._start(path, providers, threads, spec)
        except GraphRefusedError as error:
            log.warning("%s: runs without a CUDA graph, which is slower (%s)", path, error)
            self._start(path, providers_of(device, graph=False), threads, spec)
            self.description += f", no CUDA graph ({error})"
        self._device = device
        self._threads_own = threading.local()

    def _start(self, path: Path, providers: Providers, threads: int, said: ModelSpec | None) -> None:
        session = _open(path, providers, threads)
        self.spec, self._output = _spec_and_output(session, path, said)
        self._graph = CudaGraph(session, input_tensor(self.spec), self._output) if providers.graph else None
        self._session: ort.InferenceSession | None = session
        count = f"{threads} threads" if threads else "default threads"
        graph = ", CUDA graph" if self._graph else ""
        self.description = f"ONNX Runtime {ort.__version__}, {providers.title}, {count}{graph}"

    def _providers(self, path: Path, device: Device, said: ModelSpec | None) -> Providers:
        """The execution providers to open the model with."""
        providers = _available(providers_of(device))
        if device is Device.CUDA and _spec_of(path, said).precision is Precision.INT8:
            raise BackendError(
                f"{path}: is INT8, which ONNX Runtime's CUDA kernels cannot compute; build an INT8 TensorRT engine "
                "(`afformer-cli engine MODEL --precision int8`), use the backend onnxruntime-tensorrt, or choose the "
                "device cpu"
            )
        return providers

    def _run(self, image: Array) -> Array:
        session = self._session  # another thread may close the backend meanwhile
        if session is None:
            raise self._closed_error()
        try:
            return self._graph.run(image) if self._graph else self._own_binding(session).run(image)
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            if self._session is None:
                raise self._closed_error() from error
            raise BackendError(f"{self.description}: the model failed: {first_line(error)}") from error

    def _own_binding(self, session: ort.InferenceSession) -> _Binding:
        """This thread's binding."""
        binding: _Binding | None = getattr(self._threads_own, "binding", None)
        if binding is None:
            keeps_input = self._device is Device.CPU
            binding = self._threads_own.binding = _Binding(
                session, input_tensor(self.spec).name, self._output, keeps_input
            )
        return binding

    def _close(self) -> None:
        self._session = None
        if self._graph:
            self._graph.close()
        self._threads_own = threading.local()


class OnnxRuntimeTensorRtBackend(OnnxRuntimeBackend):
    """An exported model on ONNX Runtime's TensorRT provider: TensorRT where possible, CUDA for the rest, never the CPU.

    Opening a model for the first time builds its engines, which takes minutes; they are kept in the user's cache
    folder. An engine of `afformer-cli engine` needs neither that nor ONNX Runtime.

    Args:
        path: The `.onnx` file: float, or INT8 for the target `tensorrt`.
        threads: As for `OnnxRuntimeBackend`.

    Raises:
        BackendError: As for `OnnxRuntimeBackend`, or the device is not CUDA.
        SpecError: The model has no spec, or an unreadable one.
        OutputError: The cache folder cannot be made.
    """

    def _providers(self, path: Path, device: Device, said: ModelSpec | None) -> Providers:
        if device is not Device.CUDA:
            raise BackendError(f"TensorRT runs on NVIDIA GPUs, not on the {device.value}; choose the device cuda")
        cuda = str(getattr(ort, "cuda_version", ""))
        return _available(tensorrt_providers(path, _spec_of(path, said).precision, ort.__version__, cuda))


class _Binding:
    """The memory that one thread's runs read and write; many of them share a session.

    Args:
        session: The model.
        source: The name of its input.
        output: Its output.
        keeps_input: Whether the caller's memory itself is bound, as on the CPU, and not a copy as on other devices.
    """

    def __init__(self, session: ort.InferenceSession, source: str, output: TensorInfo, keeps_input: bool) -> None:
        self._session, self._source, self._keeps_input = session, source, keeps_input
        self._binding = session.io_binding()
        self._bound_input = 0
        self._output = np.empty(output.shape, output.dtype)
        address = self._output.ctypes.data
        self._binding.bind_output(output.name, "cpu", 0, output.dtype, output.shape, address)

    def run(self, image: Array) -> Array:
        """The model's output, in memory that the next run overwrites."""
        address = image.ctypes.data
        if address != self._bound_input or not self._keeps_input:
            self._binding.bind_input(self._source, "cpu", 0, image.dtype, image.shape, address)
            self._bound_input = address
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()
        return self._output


def _available(providers: Providers) -> Providers:
    if providers.first not in ort.get_available_providers():
        raise BackendError(f"{providers.title} is not available in this ONNX Runtime; {providers.absent}")
    return providers


def _spec_of(path: Path, said: ModelSpec | None) -> ModelSpec:
    """The spec of a model that is not open yet."""
    return decide_spec(_spec_text(_open(path, providers_of(Device.CPU), 1, optimized=False), path), said, str(path))


def _preload(providers: Providers) -> str:
    """Loads NVIDIA's libraries from pip's packages, where ONNX Runtime does not look; returns what is missing."""
    missing = []
    preload = getattr(ort, "preload_dlls", None)  # since 1.21
    if preload:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            preload()
        missing += [line for line in said.getvalue().splitlines() if line.startswith("Failed")]
    if providers.first == TENSORRT and sys.platform == "linux":
        try:
            load_tensorrt_10()
        except OSError as error:
            missing.append(str(error))
    return f" ({missing[0]})" if missing else ""


def _open(path: Path, providers: Providers, threads: int, *, optimized: bool = True) -> ort.InferenceSession:
    if not path.is_file():
        raise BackendError(f"{path}: no such model file")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _SILENT  # what matters is raised
    # Otherwise ONNX Runtime's threads spin between two runs and take the cores from pre- and post-processing.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.intra_op.spin_duration_us", _SPIN_US)
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    missing = ""
    if providers.first != CPU:
        options.add_session_config_entry(_NOTHING_ON_CPU, "1")
        missing = _preload(providers)
    if providers.cache:
        make_folder(providers.cache)
    try:
        session = _session(path, options, providers)
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        if providers.graph and is_refusal(error):
            raise GraphRefusedError(first_line(error)) from error
        raise _refusal(path, providers, error, missing) from error
    if session.get_providers()[0] != providers.first:
        raise BackendError(f"ONNX Runtime could not start {providers.title}{missing}; {providers.remedy}")
    return session


def _session(path: Path, options: ort.SessionOptions, providers: Providers) -> ort.InferenceSession:
    # With its fallback ONNX Runtime takes other providers if these fail, and prints that it does.
    model = str(path) if has_utf8_name(path) else path.read_bytes()
    return ort.InferenceSession(model, options, providers=list(providers.chosen), enable_fallback=0)


def _refusal(path: Path, providers: Providers, error: Exception, missing: str) -> BackendError:
    """Why a model was not opened."""
    if providers.first == CPU:
        return BackendError(f"{path}: is not an ONNX model that ONNX Runtime can load: {first_line(error)}")
    if _REFUSED not in str(error):
        return BackendError(
            f"{path}: ONNX Runtime cannot open it on {providers.title} ({first_line(error)}); {providers.remedy}"
        )
    # Either the provider did not start and every operator was left to the CPU, or it lacks kernels for some.
    options = ort.SessionOptions()
    options.log_severity_level = _SILENT
    if _session(path, options, providers).get_providers()[0] != providers.first:
        return BackendError(f"ONNX Runtime could not start {providers.title}{missing}; {providers.remedy}")
    return BackendError(
        f"{path}: ONNX Runtime has no kernels for some of its operators on {providers.title} and would run them on "
        "the cpu; use the float model (INT8 for the targets x86, arm and generic is for CPUs), or choose the device cpu"
    )


def _spec_and_output(session: ort.InferenceSession, path: Path, said: ModelSpec | None) -> tuple[ModelSpec, TensorInfo]:
    """The model's spec and its output tensor; the model fits the spec."""
    text = _spec_text(session, path)
    spec = decide_spec(text, said, str(path))
    inputs, outputs = _graph_tensors(session, path)
    if text is not None:
        check_tensors([*inputs, *outputs], spec, path)
        return spec, output_tensor(spec)
    spec, declared = named_tensors(spec, inputs, outputs, path)
    return spec, measured_output(spec, declared, functools.partial(_run_once, session), path)


@dataclasses.dataclass(frozen=True)
class Graph:
    """An ONNX file as it declares itself, with or without a spec.

    Attributes:
        inputs: Its inputs.
        outputs: Its outputs.
        spec_text: The spec in its metadata, or None.
        run: Runs it once.
    """

    inputs: list[GraphTensor]
    outputs: list[GraphTensor]
    spec_text: str | None
    run: Run


def read_graph(path: Path) -> Graph:
    """Opens an ONNX file without asking what it is.

    Raises:
        BackendError: It is missing, or not an ONNX model.
    """
    session = _open(path, providers_of(Device.CPU), 0)
    return Graph(*_graph_tensors(session, path), _spec_text(session, path), functools.partial(_run_once, session))


def _run_once(session: ort.InferenceSession, feed: Array, output: str) -> Array:
    return np.asarray(session.run([output], {session.get_inputs()[0].name: feed}, not_recorded())[0])


def _graph_tensors(session: ort.InferenceSession, path: Path) -> tuple[list[GraphTensor], list[GraphTensor]]:
    with _texts_of(path):
        inputs, outputs = (
            [GraphTensor(node.name, _type_name(node.type), tuple(node.shape)) for node in nodes]
            for nodes in (session.get_inputs(), session.get_outputs())
        )
    return inputs, outputs


def _type_name(type_: str) -> str:
    return _TYPES.get(type_, type_.removeprefix("tensor(").removesuffix(")"))


def _spec_text(session: ort.InferenceSession, path: Path) -> str | None:
    with _texts_of(path):
        text: str | None = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    return text


@contextlib.contextmanager
def _texts_of(path: Path) -> Iterator[None]:
    """ONNX Runtime loads models whose texts are not UTF-8, and fails only when they are asked for."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise BackendError(f"{path}: holds names or metadata that are not UTF-8; export it again") from error
