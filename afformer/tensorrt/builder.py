"""ONNX graph -> plan, with TensorRT 10.3 to 11 or TensorRT-RTX.

Networks are strongly typed: what a layer computes in stands in the ONNX, and TensorRT chooses nothing. This is the only
way that both major versions know; only names that both have are used (`tests/tensorrt/test_names.py`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from afformer.errors import BackendError, ExportError
from afformer.files import check_writable, replacing
from afformer.tensorrt.byte_tensors import prepare
from afformer.tensorrt.onnx_source import Source, check_source
from afformer.tensorrt.packages import journal, load
from afformer.tensorrt.plan_file import EngineFile, Gpu, Library, json_path
from afformer.tensorrt.precision_check import Numbers, check_network, check_plan

_MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class EngineOptions:
    """How a plan is built.

    Attributes:
        library: What builds it, and runs it later.
        workspace_mib: MiB of GPU memory that a layer may use for itself; None leaves it to TensorRT.
        timing_cache: File of measured kernels that later builds on the same GPU start from; made, or added to.
        version_compatible: Whether later versions of TensorRT may run the plan. It grows, and may be slower.
        hardware_compatible: Whether other GPUs, Ampere or later, may run the plan. It may be slower. Not on Jetson.
    """

    library: Library = Library.TENSORRT
    workspace_mib: int | None = None
    timing_cache: Path | None = None
    version_compatible: bool = False
    hardware_compatible: bool = False

    def __post_init__(self) -> None:
        if self.workspace_mib is not None and self.workspace_mib < 1:
            raise ExportError(f"the workspace must be at least 1 MiB, got {self.workspace_mib}")
        chosen = {
            "--timing-cache": self.timing_cache is not None,
            "--version-compatible": self.version_compatible,
            "--hardware-compatible": self.hardware_compatible,
        }
        if self.library is Library.TENSORRT_RTX and any(chosen.values()):
            option = next(name for name, given in chosen.items() if given)
            raise ExportError(f"{option} is for TensorRT; TensorRT-RTX finishes its plans on the GPU that runs them")


@dataclasses.dataclass(frozen=True)
class Site:
    """Where a plan is built.

    Attributes:
        gpu: The GPU that it is built on, and for; None for TensorRT-RTX, which needs none.
        cuda: Newest CUDA version that the driver knows; empty without one.
    """

    gpu: Gpu | None = None
    cuda: str = ""


@dataclasses.dataclass(frozen=True)
class EngineReport:
    """What was built.

    Attributes:
        path: The plan.
        file: What lies beside it.
        numbers: What the parsed network computes in.
        inspected: Layers of the plan itself that compute in the precision that was asked for; None if it could not be
            looked into, because that takes a GPU.
        bytes: Size of the plan.
        seconds: It took so long.
    """

    path: Path
    file: EngineFile
    numbers: Numbers
    inspected: int | None
    bytes: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`."""
        return {
            "path": str(self.path),
            "bytes": self.bytes,
            "seconds": round(self.seconds, 2),
            "network": dataclasses.asdict(self.numbers),
            "inspected_layers": self.inspected,
            **json.loads(self.file.to_json()),
        }


def build_engine(source: Source, output: Path, options: EngineOptions, site: Site) -> EngineReport:
    """Builds a plan and writes it with its JSON, both or none.

    Args:
        source: The graph, in the precision that the plan shall have.
        output: The plan to write; its JSON goes beside it.
        options: How.
        site: Where.

    Raises:
        BackendError: TensorRT is not installed, or cannot start.
        ExportError: TensorRT does not take the graph, or the plan is not of the precision that was asked for.
        OutputError: A file cannot be written.
    """
    start = time.perf_counter()
    check_places(output, options)
    check_source(source)
    job = _Job(load(options.library), source, options)
    numbers = job.parse()
    with job.timing_cache():
        plan = job.build()
    inspected = job.inspect(plan)
    file = EngineFile(
        spec=source.spec,
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        library=options.library,
        version=job.version,
        cuda=site.cuda,
        gpu=site.gpu,
        source=source.name,
        source_sha256=source.sha256,
        version_compatible=options.version_compatible,
        hardware_compatible=options.hardware_compatible,
    )
    with replacing(json_path(output)) as beside, replacing(output) as temporary:
        temporary.write_bytes(plan)
        beside.write_text(file.to_json(), encoding="utf-8")
    return EngineReport(output, file, numbers, inspected, len(plan), time.perf_counter() - start)


def check_places(output: Path, options: EngineOptions) -> None:
    """Fails before long work if its results could not be written, or what it starts from cannot be read.

    Raises:
        OutputError: The plan, its JSON or the timing cache cannot be written.
        ExportError: The timing cache is there, and cannot be read.
    """
    for path in filter(None, (output, json_path(output), options.timing_cache)):
        check_writable(path)
    _read_cache(options.timing_cache)


def _read_cache(path: Path | None) -> bytes:
    """What an earlier build has measured; nothing before the first."""
    try:
        return path.read_bytes() if path and path.exists() else b""
    except OSError as error:
        raise ExportError(
            f"{path}: the timing cache cannot be read ({error.strerror}); delete it, or name another file"
        ) from error


class _Job:
    """One build: `parse`, `build` within `timing_cache`, `inspect`."""

    def __init__(self, trt: ModuleType, source: Source, options: EngineOptions) -> None:
        self._trt, self._source, self._options = trt, source, options
        self.version = str(trt.__version__)
        self._journal = journal(trt)
        self._journal.clear()
        try:
            self._builder: Any = trt.Builder(self._journal.logger)
        except (TypeError, RuntimeError) as error:  # what the bindings raise when they get nothing
            raise BackendError(
                f"{options.library.title} {self.version} cannot start here ({self._journal.reason()}); engines are "
                "built on the GPU that shall run them: look with `afformer-cli doctor`"
            ) from error
        flag = trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
        self._network: Any = self._builder.create_network(1 << int(flag))
        self._config: Any = self._builder.create_builder_config()

    def parse(self) -> Numbers:
        """Fills the network from the graph and looks at what it computes in."""
        name, spec = self._source.name, self._source.spec
        parser: Any = self._trt.OnnxParser(self._network, self._journal.logger)
        if not parser.parse(prepare(self._source.model).SerializeToString()):
            problems = [parser.get_error(index).desc() for index in range(parser.num_errors)]
            reason = " ".join(problems[0].split()) if problems else self._journal.reason()
            raise ExportError(f"{name}: {self._title} does not take it: {reason}")
        return check_network(self._trt, self._network, spec.precision, name)

    def build(self) -> bytes:
        """The plan."""
        trt, config = self._trt, self._config
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # for the inspector
        config.clear_flag(trt.BuilderFlag.TF32)  # 10 bits of mantissa where the model says float32
        if self._options.workspace_mib:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, self._options.workspace_mib * _MIB)
        if self._options.version_compatible:
            config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
        if self._options.hardware_compatible:
            config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
        plan: Any = self._builder.build_serialized_network(self._network, config)
        if plan is None:
            raise ExportError(
                f"{self._source.name}: {self._title} cannot build it: {self._journal.reason()}; a larger --workspace "
                "or more free GPU memory may help"
            )
        return bytes(plan)

    def inspect(self, plan: bytes) -> int | None:
        """Layers of the plan in the precision that was asked for; None where the plan cannot be loaded."""
        trt = self._trt
        if self._options.library is Library.TENSORRT_RTX:
            return None  # its plans get their kernels where they run
        runtime: Any = trt.Runtime(self._journal.logger)
        if self._options.version_compatible:
            runtime.engine_host_code_allowed = True  # it was built right here
        engine: Any = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise ExportError(
                f"{self._source.name}: {self._title} cannot load the engine that it built: {self._journal.reason()}"
            )
        inspector: Any = engine.create_engine_inspector()
        described = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
        return check_plan(described, self._source.spec.precision, self._source.name)

    @contextlib.contextmanager
    def timing_cache(self) -> Iterator[None]:
        """Starts from the measured kernels in the file, and writes back what is measured."""
        path, config = self._options.timing_cache, self._config
        if path is None:
            yield
            return
        cache: Any = config.create_timing_cache(_read_cache(path))
        if cache is None or not config.set_timing_cache(cache, False):
            raise ExportError(
                f"{path}: is no timing cache of {self._title} for this GPU ({self._journal.reason()}); delete it, or "
                "name another file"
            )
        yield
        measured: Any = config.get_timing_cache()
        with replacing(path) as temporary:
            temporary.write_bytes(bytes(measured.serialize()))

    @property
    def _title(self) -> str:
        return f"{self._options.library.title} {self.version}"
