"""OpenVINO on the CPU."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino.frontend import FrontEndManager

from afformer.choice import Choice
from afformer.errors import BackendError
from afformer.runtime.backends.base import (
    Array,
    Backend,
    GraphTensor,
    check_tensors,
    check_threads,
    has_utf8_name,
    input_tensor,
)
from afformer.runtime.backends.foreign_tensors import measured_output, named_tensors
from afformer.runtime.choices import Device
from afformer.spec import METADATA_KEY, ModelSpec
from afformer.spec_file import decide_spec


class FloatPrecision(Choice):
    """The type in which OpenVINO computes the model's float operators. Integer operators are not affected."""

    FLOAT32 = "f32"
    """The model's own."""
    BFLOAT16 = "bf16"
    """8 bits of mantissa. Faster on CPUs that have it, and OpenVINO's default there."""


class OpenVinoBackend(Backend):
    """An exported model, float or INT8 for the target `generic`, on OpenVINO.

    Args:
        threads: Threads inside one operator; 0 leaves the choice to OpenVINO (the physical cores).
        precision: The type of float computations. OpenVINO's own default is bfloat16 where the CPU has it, which
            visibly changes the result.
        spec: What is said of a model that has no spec of its own.

    Raises:
        BackendError: The file is missing, cannot be loaded by OpenVINO, or differs from its spec; or the device is not
            the CPU.
        SpecError: The model has no spec, or an unreadable one, or contradicts `spec`.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        device: Device = Device.CPU,
        threads: int = 0,
        precision: FloatPrecision | str = FloatPrecision.FLOAT32,
        spec: ModelSpec | None = None,
    ) -> None:
        path, precision = Path(path), FloatPrecision(precision)
        check_threads(threads)
        if device is not Device.CPU:
            raise BackendError(f"OpenVINO runs on the cpu only, not on {device.value}; choose the device cpu")
        model = _read(path)
        text = _spec_text(model)
        self.spec = decide_spec(text, spec, str(path))
        inputs, outputs = _tensors(model.inputs), _tensors(model.outputs)
        self._output = 0
        if text is None:
            self.spec, answer = named_tensors(self.spec, inputs, outputs, path)
            self._output = outputs.index(answer)
        else:
            check_tensors([*inputs, *outputs], self.spec, path)
        compiled = _compile(model, path, threads, precision, self.spec)
        self._compiled: ov.CompiledModel | None = compiled
        if text is None:
            answer = _tensors(compiled.outputs)[self._output]
            measured_output(self.spec, answer, lambda feed, _: compiled({0: feed})[self._output], path)
        self._threads_own = threading.local()
        count = f"{threads} threads" if threads else "default threads"
        self.description = f"OpenVINO {ov.__version__.split('-', 1)[0]}, cpu, {precision.value}, {count}"

    def _run(self, image: Array) -> Array:
        compiled = self._compiled  # another thread may close the backend meanwhile
        if compiled is None:
            raise self._closed_error()
        try:
            # The request keeps no reference to the input, and its output buffer lives as long as the request.
            output = self._own_request(compiled).infer({0: image}, share_inputs=True, share_outputs=True)[self._output]
        except Exception as error:  # OpenVINO's exceptions have no common base class
            raise BackendError(f"{self.description}: the model failed: {_reason(error)}") from error
        return np.asarray(output)

    def _own_request(self, compiled: ov.CompiledModel) -> ov.InferRequest:
        """This thread's request: one request runs once at a time."""
        request: ov.InferRequest | None = getattr(self._threads_own, "request", None)
        if request is None:
            request = self._threads_own.request = compiled.create_infer_request()
        return request

    def _close(self) -> None:
        self._compiled = None
        self._threads_own = threading.local()


def _read(path: Path) -> ov.Model:
    if not path.is_file():
        raise BackendError(f"{path}: no such model file")
    try:
        # On a broken file Core.read_model tries its readers for other formats, which print to the terminal.
        reader = FrontEndManager().load_by_framework("onnx")
        return reader.convert(reader.load(str(path) if has_utf8_name(path) else io.BytesIO(path.read_bytes())))
    except Exception as error:  # OpenVINO's exceptions have no common base class
        raise _unusable(path, error) from error


def _compile(model: ov.Model, path: Path, threads: int, precision: FloatPrecision, spec: ModelSpec) -> ov.CompiledModel:
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads),
        "INFERENCE_PRECISION_HINT": precision.value,
    }
    try:
        if model.is_dynamic():
            model.reshape(list(input_tensor(spec).shape))
        return ov.Core().compile_model(model, "CPU", settings)
    except Exception as error:  # OpenVINO's exceptions have no common base class
        raise _unusable(path, error) from error


def _tensors(ports: Sequence[Any]) -> list[GraphTensor]:
    return [
        GraphTensor(
            port.any_name,
            str(port.element_type.to_dtype()),
            tuple(length.get_length() if length.is_static else None for length in port.partial_shape),
        )
        for port in ports
    ]


def _unusable(path: Path, error: Exception) -> BackendError:
    return BackendError(
        f"{path}: is not a model that OpenVINO can load ({_reason(error)}); "
        "INT8 models for OpenVINO are those for the target generic"
    )


def _spec_text(model: ov.Model) -> str | None:
    keys = ["framework", METADATA_KEY]
    return str(model.get_rt_info(keys).astype(str)) if model.has_rt_info(keys) else None


def _reason(error: Exception) -> str:
    """OpenVINO's message without the lines that name places in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Exception from", "Check ", "FrontEnd API"))]
    return (telling or lines or [type(error).__name__])[0]
