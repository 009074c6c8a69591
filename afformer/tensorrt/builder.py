"""The calls of TensorRT 10.3 to 11, or TensorRT-RTX, that make an engine of a model.

Networks are strongly typed: the ONNX decides what each layer computes in, and TensorRT chooses nothing. Both major
versions support only this. Names that one of them lacks are not used (`tests/tensorrt/test_names.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from afformer.errors import BackendError, ExportError
from afformer.files import replacing
from afformer.tensorrt.byte_tensors import rewrite_byte_tensors
from afformer.tensorrt.error_log import error_log
from afformer.tensorrt.onnx_model import OnnxModel
from afformer.tensorrt.options import EngineOptions
from afformer.tensorrt.packages import Library
from afformer.tensorrt.precision_check import LayerCounts, check_engine, check_network

_MIB = 1 << 20


class Builder:
    """One build: `parse`, then `build`, then `inspect`.

    Args:
        trt: The library.
        model: What to build the engine from.
        options: How.

    Raises:
        BackendError: TensorRT cannot start.
    """

    def __init__(self, trt: ModuleType, model: OnnxModel, options: EngineOptions) -> None:
        self._trt, self._model, self._options = trt, model, options
        self.version = str(trt.__version__)
        self._errors = error_log(trt)
        self._errors.clear()
        try:
            self._builder: Any = trt.Builder(self._errors.logger)
        except (TypeError, RuntimeError) as error:  # what the bindings raise when TensorRT returns nothing
            raise BackendError(
                f"{self._title} cannot start here ({self._errors.reason()}); engines are built on the GPU that will "
                "run them: check it with `afformer-cli doctor`"
            ) from error
        flag = trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
        self._network: Any = self._builder.create_network(1 << int(flag))
        self._config: Any = self._builder.create_builder_config()

    def parse(self) -> LayerCounts:
        """Parses the model, and counts what the network computes in.

        Raises:
            ExportError: TensorRT does not take the model, or no convolution is in the model's precision.
        """
        name = self._model.name
        parser: Any = self._trt.OnnxParser(self._network, self._errors.logger)
        if not parser.parse(rewrite_byte_tensors(self._model.proto).SerializeToString()):
            problems = [parser.get_error(index).desc() for index in range(parser.num_errors)]
            reason = " ".join(problems[0].split()) if problems else self._errors.reason()
            raise ExportError(f"{name}: {self._title} does not take it: {reason}")
        return check_network(self._trt, self._network, self._model.spec.precision, name)

    def build(self) -> bytes:
        """The engine.

        Raises:
            ExportError: TensorRT cannot build it, or does not take the timing cache.
            OutputError: The timing cache cannot be written.
        """
        self._configure()
        with self._timing_cache():
            engine: Any = self._builder.build_serialized_network(self._network, self._config)
            if engine is None:
                raise ExportError(
                    f"{self._model.name}: {self._title} cannot build it: {self._errors.reason()}; a larger "
                    "`workspace_mib` or more free GPU memory may help"
                )
        return bytes(engine)

    def inspect(self, content: bytes) -> int | None:
        """How many layers of a built engine compute in the model's precision; None where it cannot be loaded.

        Raises:
            ExportError: TensorRT does not load what it built, or no layer does.
        """
        trt = self._trt
        if self._options.library is Library.TENSORRT_RTX:
            return None  # its engines get their kernels where they run
        runtime: Any = trt.Runtime(self._errors.logger)
        if self._options.version_compatible:
            runtime.engine_host_code_allowed = True  # it was built right here
        engine: Any = runtime.deserialize_cuda_engine(content)
        if engine is None:
            raise ExportError(
                f"{self._model.name}: {self._title} cannot load the engine that it built: {self._errors.reason()}"
            )
        inspector: Any = engine.create_engine_inspector()
        description = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
        return check_engine(description, self._model.spec.precision, self._model.name)

    def _configure(self) -> None:
        trt, config = self._trt, self._config
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # for the inspector
        config.clear_flag(trt.BuilderFlag.TF32)  # 10 bits of mantissa where the model says float32
        if self._options.workspace_mib:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, self._options.workspace_mib * _MIB)
        if self._options.version_compatible:
            config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
        if self._options.hardware_compatible:
            config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS

    @contextlib.contextmanager
    def _timing_cache(self) -> Iterator[None]:
        """Starts from the measured kernels in the file, and writes back what is measured."""
        path, config = self._options.timing_cache, self._config
        if path is None:
            yield
            return
        cache: Any = config.create_timing_cache(read_timing_cache(path))
        if cache is None or not config.set_timing_cache(cache, False):
            raise ExportError(
                f"{path}: is not a timing cache of {self._title} for this GPU ({self._errors.reason()}); delete it, or "
                "name another `timing_cache`"
            )
        yield
        measured: Any = config.get_timing_cache()
        with replacing(path) as temporary:
            temporary.write_bytes(bytes(measured.serialize()))

    @property
    def _title(self) -> str:
        return f"{self._options.library.title} {self.version}"


def read_timing_cache(path: Path | None) -> bytes:
    """What earlier builds measured; empty before the first.

    Raises:
        ExportError: The file exists, but cannot be read.
    """
    try:
        return path.read_bytes() if path and path.exists() else b""
    except OSError as error:
        raise ExportError(
            f"{path}: the timing cache cannot be read ({error.strerror}); delete it, or name another `timing_cache`"
        ) from error
