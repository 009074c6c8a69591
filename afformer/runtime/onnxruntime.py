"""ONNX Runtime as a backend, on the CPU or, when asked, on CUDA."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort

from afformer.errors import BackendError
from afformer.runtime.backend import Array, Backend, Device, TensorInfo, check_threads, input_tensor, output_tensor
from afformer.spec import METADATA_KEY, ModelSpec

_PROVIDERS = {Device.CPU: "CPUExecutionProvider", Device.CUDA: "CUDAExecutionProvider"}
_SILENT = 4


class OnnxRuntimeBackend(Backend):
    """A model file of this package's export on ONNX Runtime.

    Args:
        path: The `.onnx` file.
        device: Where to run.
        threads: Threads inside one operator; 0 leaves the choice to ONNX Runtime (the physical cores).

    Raises:
        BackendError: The file is missing or no ONNX model, differs from its spec, or the device is not there.
        SpecError: The model has no spec, or one that cannot be read.
    """

    def __init__(self, path: Path | str, *, device: Device = Device.CPU, threads: int = 0) -> None:
        path = Path(path)
        check_threads(threads)
        provider = _PROVIDERS[device]
        if provider not in ort.get_available_providers():
            raise BackendError(f"{device.value} is not available in this ONNX Runtime; {_remedy(device)}")
        session = _open(path, provider, threads)
        if session.get_providers()[0] != provider:
            raise BackendError(f"ONNX Runtime could not start {device.value} and fell back; {_remedy(device)}")
        text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        self.spec = ModelSpec.from_metadata(text, where=str(path))
        _check_tensor(session.get_inputs(), input_tensor(self.spec), path)
        _check_tensor(session.get_outputs(), output_tensor(self.spec), path)
        self._session: ort.InferenceSession | None = session
        self._device = device
        self._binding = session.io_binding()
        self._bound_input = 0
        self._output = _bound_output(self._binding, output_tensor(self.spec))
        count = f"{threads} threads" if threads else "default threads"
        self.description = f"ONNX Runtime {ort.__version__}, {device.value}, {count}"

    def _run(self, image: Array) -> Array:
        assert self._session is not None, "run() refuses closed backends"
        try:
            self._bind_input(image)
            self._session.run_with_iobinding(self._binding)
            self._binding.synchronize_outputs()
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise BackendError(f"{self.description}: the model failed: {_first_line(error)}") from error
        return self._output

    def _bind_input(self, image: Array) -> None:
        """Tells ONNX Runtime where the input is: once, if the caller keeps to one buffer."""
        address = image.ctypes.data
        # What is bound on another device is a copy, made now; on the CPU it is the caller's memory, read in every run.
        if address != self._bound_input or self._device is not Device.CPU:
            self._binding.bind_input("image", "cpu", 0, image.dtype, image.shape, address)
            self._bound_input = address

    def _close(self) -> None:
        self._session = self._binding = None


def _bound_output(binding: ort.IOBinding, tensor: TensorInfo) -> Array:
    """The array that every run writes its answer into."""
    output = np.empty(tensor.shape, tensor.dtype)
    binding.bind_output(tensor.name, "cpu", 0, output.dtype, output.shape, output.ctypes.data)
    return output


def _open(path: Path, provider: str, threads: int) -> ort.InferenceSession:
    if not path.is_file():
        raise BackendError(f"{path}: no such model file")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _SILENT  # what matters arrives as an exception, once
    try:
        return ort.InferenceSession(str(path), options, providers=[provider])
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        raise BackendError(f"{path}: is no ONNX model that ONNX Runtime can load: {_first_line(error)}") from error


def _check_tensor(actual: list[ort.NodeArg], expected: TensorInfo, path: Path) -> None:
    found = [(node.name, tuple(node.shape), node.type) for node in actual]
    kind = "float" if expected.dtype == np.float32 else expected.dtype.name
    wanted = (expected.name, expected.shape, f"tensor({kind})")
    if found != [wanted]:
        raise BackendError(
            f"{path}: differs from its own spec: expected the tensor {_named(wanted)}, but the model has "
            f"{', '.join(map(_named, found))}; export it again"
        )


def _named(tensor: tuple[str, tuple[int | str, ...], str]) -> str:
    name, shape, kind = tensor
    return f"{name} {kind[len('tensor(') : -1]}[{', '.join(map(str, shape))}]"


def _remedy(device: Device) -> str:
    if device is Device.CPU:
        return "reinstall the pip package onnxruntime"
    return (
        "install the pip package onnxruntime-gpu in place of onnxruntime, with the CUDA and cuDNN it asks for, "
        "or choose the device cpu"
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
