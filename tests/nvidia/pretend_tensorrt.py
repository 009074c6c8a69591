"""TensorRT's Python module without TensorRT: its engines hold the ONNX, and ONNX Runtime answers for the GPU."""

from __future__ import annotations

import ctypes
import dataclasses
import enum
import json
import math
import types
import warnings
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from tests.nvidia.pretend_cuda import PretendCuda

_PLAN = b"plan of "


@dataclasses.dataclass
class Quirks:
    """What goes wrong.

    Attributes:
        no_start: The builder is not made.
        no_parse: Why the parser refuses.
        no_build: Why the builder gives nothing.
        float_engine: Whatever the network says, the plan computes in float32.
        no_load: Why a plan is not loaded.
        no_capture: The network runs, but not while a graph is captured.
        no_run: The network does not run.
        stale_cache: Timing caches are refused.
    """

    no_start: bool = False
    no_parse: str = ""
    no_build: str = ""
    float_engine: bool = False
    no_load: str = ""
    no_capture: bool = False
    no_run: bool = False
    stale_cache: bool = False


class LayerType(enum.Enum):
    CONVOLUTION = 0
    QUANTIZE = 1
    DEQUANTIZE = 2
    IDENTITY = 3


class DataType(enum.Enum):
    FLOAT = 0
    HALF = 1
    UINT8 = 2
    INT32 = 3


class Severity(enum.Enum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2


ENUMS: dict[str, object] = {
    "NetworkDefinitionCreationFlag": enum.IntEnum("NetworkDefinitionCreationFlag", {"STRONGLY_TYPED": 1}),
    "BuilderFlag": enum.Enum("BuilderFlag", ["TF32", "VERSION_COMPATIBLE"]),
    "ProfilingVerbosity": enum.Enum("ProfilingVerbosity", ["DETAILED"]),
    "MemoryPoolType": enum.Enum("MemoryPoolType", ["WORKSPACE"]),
    "HardwareCompatibilityLevel": enum.Enum("HardwareCompatibilityLevel", ["NONE", "AMPERE_PLUS"]),
    "LayerInformationFormat": enum.Enum("LayerInformationFormat", ["JSON"]),
}

_LAYERS = {
    "Conv": LayerType.CONVOLUTION,
    "QuantizeLinear": LayerType.QUANTIZE,
    "DequantizeLinear": LayerType.DEQUANTIZE,
}
_TYPES: dict[int, DataType] = {onnx.TensorProto.FLOAT16: DataType.HALF, onnx.TensorProto.UINT8: DataType.UINT8}


class ILogger:
    Severity = Severity

    def __init__(self) -> None: ...


def pretend_tensorrt(cuda: PretendCuda, quirks: Quirks | None = None, version: str = "10.3.0") -> Any:
    """A module that answers to what this package calls, and to nothing else."""
    module: Any = types.ModuleType("tensorrt")
    module.__version__ = version
    module.ILogger, module.LayerType, module.DataType = ILogger, LayerType, DataType
    vars(module).update(ENUMS)
    state = _State(cuda, quirks or Quirks())
    module.Builder = lambda logger: Builder(state, logger)
    module.OnnxParser = lambda network, logger: OnnxParser(state, network, logger)
    module.Runtime = lambda logger: Runtime(state, logger)
    module.configs = state.configs
    return module


@dataclasses.dataclass
class _State:
    cuda: PretendCuda
    quirks: Quirks
    configs: list[Any] = dataclasses.field(default_factory=list)


class Builder:
    def __init__(self, state: _State, logger: Any) -> None:
        self._state, self._logger = state, logger
        logger.log(Severity.WARNING, "nobody wants to hear this")
        if state.quirks.no_start:
            logger.log(Severity.ERROR, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def create_network(self, flags: int) -> INetworkDefinition:
        assert flags == 1 << 1, "strongly typed"
        return INetworkDefinition()

    def create_builder_config(self) -> IBuilderConfig:
        config = IBuilderConfig(self._state)
        self._state.configs.append(config)
        return config

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> IHostMemory | None:
        if self._state.quirks.no_build:
            self._logger.log(Severity.ERROR, self._state.quirks.no_build)
            return None
        if config.cache is not None:
            config.cache.content += b"measured;"
        return IHostMemory(_PLAN + network._serialized)


class IHostMemory(bytes): ...


class ITimingCache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> IHostMemory:
        return IHostMemory(self.content)


class IBuilderConfig:
    profiling_verbosity: Any = None
    hardware_compatibility_level: Any = None

    def __init__(self, state: _State) -> None:
        self._state = state
        self.cache: ITimingCache | None = None
        self.flags = {"TF32"}
        self.pools: dict[str, int] = {}

    def set_flag(self, flag: Any) -> None:
        self.flags.add(flag.name)

    def clear_flag(self, flag: Any) -> None:
        self.flags.discard(flag.name)

    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        self.pools[pool.name] = size

    def create_timing_cache(self, content: bytes) -> ITimingCache:
        return ITimingCache(content)

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self.cache = cache
        return not self._state.quirks.stale_cache

    def get_timing_cache(self) -> ITimingCache | None:
        return self.cache


class ITensor:
    def __init__(self, name: str, dtype: DataType) -> None:
        self.name, self.dtype = name, dtype


class ILayer:
    def __init__(self, node: onnx.NodeProto, types_: dict[str, int], constants: set[str]) -> None:
        self.type = _LAYERS.get(node.op_type, LayerType.IDENTITY)
        # weights that are constants are no tensors
        self._inputs = [_tensor(name, types_) for name in node.input if name not in constants]
        self._outputs = [_tensor(name, types_) for name in node.output]
        self.num_inputs, self.num_outputs = len(self._inputs), len(self._outputs)

    def get_input(self, index: int) -> ITensor:
        return self._inputs[index]

    def get_output(self, index: int) -> ITensor:
        return self._outputs[index]


def _tensor(name: str, types_: dict[str, int]) -> ITensor:
    return ITensor(name, _TYPES.get(types_.get(name, 0), DataType.FLOAT))


class INetworkDefinition:
    _serialized = b""

    def _fill(self, content: bytes) -> None:
        self._serialized = content
        model = onnx.shape_inference.infer_shapes(onnx.load_from_string(content))
        graph = model.graph
        values = [*graph.value_info, *graph.input, *graph.output]
        kinds = {value.name: value.type.tensor_type.elem_type for value in values}
        constants = {value.name for value in graph.initializer}
        self._layers = [ILayer(node, kinds, constants) for node in graph.node]

    @property
    def num_layers(self) -> int:
        return len(self._layers)

    def get_layer(self, index: int) -> ILayer:
        return self._layers[index]


class OnnxParser:
    def __init__(self, state: _State, network: INetworkDefinition, logger: Any) -> None:
        self._reason, self._network = state.quirks.no_parse, network
        self.num_errors = int(bool(self._reason))

    def parse(self, content: bytes) -> bool:
        if not self._reason:
            self._network._fill(content)
        return not self._reason

    def get_error(self, index: int) -> Any:
        return types.SimpleNamespace(desc=lambda: self._reason)


class Runtime:
    engine_host_code_allowed = False

    def __init__(self, state: _State, logger: Any) -> None:
        self._state, self._logger = state, logger

    def deserialize_cuda_engine(self, plan: bytes) -> ICudaEngine | None:
        if self._state.quirks.no_load or not plan.startswith(_PLAN):
            self._logger.log(Severity.ERROR, self._state.quirks.no_load or "no plan at all")
            return None
        return ICudaEngine(self._state, plan[len(_PLAN) :])


class ICudaEngine:
    def __init__(self, state: _State, content: bytes) -> None:
        self._state, self.content = state, content
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
        self._tensors = [*self.session.get_inputs(), *self.session.get_outputs()]
        self.num_io_tensors = len(self._tensors)

    def get_tensor_name(self, index: int) -> str:
        return str(self._tensors[index].name)

    def get_tensor_shape(self, name: str) -> list[int]:
        return list(self._tensor(name).shape)

    def get_tensor_dtype(self, name: str) -> DataType:
        kind = self._tensor(name).type
        return {"tensor(float)": DataType.FLOAT, "tensor(uint8)": DataType.UINT8}[kind]

    def _tensor(self, name: str) -> Any:
        return next(tensor for tensor in self._tensors if tensor.name == name)

    def create_engine_inspector(self) -> EngineInspector:
        return EngineInspector(self.content, self._state.quirks.float_engine)

    def create_execution_context(self) -> IExecutionContext:
        return IExecutionContext(self._state, self)


class EngineInspector:
    def __init__(self, content: bytes, float_engine: bool) -> None:
        self._content, self._float_engine = content, float_engine

    def get_engine_information(self, how: Any) -> str:
        network = INetworkDefinition()
        network._fill(self._content)
        layers = [network.get_layer(index) for index in range(network.num_layers)]
        dequantized = {layer.get_output(0).name for layer in layers if layer.type is LayerType.DEQUANTIZE}
        described = []
        for layer in layers:
            kind = {DataType.HALF: "Half"}.get(layer.get_output(0).dtype, "Float")
            if layer.type is LayerType.CONVOLUTION and layer.get_input(0).name in dequantized:
                kind = "Int8"  # fused with the quantization around it
            reads = [{"Format/Datatype": "Float" if self._float_engine else kind}]
            described.append({"LayerType": layer.type.name.title(), "Inputs": reads, "Outputs": []})
        return json.dumps({"Layers": [*described, "a layer without details"], "I/O Tensors": []})


class IExecutionContext:
    def __init__(self, state: _State, engine: ICudaEngine) -> None:
        self._state, self._engine = state, engine
        self._addresses: dict[str, int] = {}

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return address in self._state.cuda.alive["memory"]

    def execute_async_v3(self, stream: int) -> bool:
        cuda, quirks = self._state.cuda, self._state.quirks
        assert stream in cuda.alive["stream"]
        if quirks.no_run or (quirks.no_capture and cuda._capturing is not None):
            return False
        cuda.enqueue(self._run)
        return True

    def _run(self) -> None:
        session = self._engine.session
        (feed,), (answer,) = session.get_inputs(), session.get_outputs()
        self._view(answer)[...] = session.run(None, {feed.name: self._view(feed)})[0]

    def _view(self, tensor: Any) -> Any:
        dtype = np.dtype({"tensor(float)": np.float32, "tensor(uint8)": np.uint8}[tensor.type])
        size = math.prod(tensor.shape) * dtype.itemsize
        memory = (ctypes.c_uint8 * size).from_address(self._addresses[tensor.name])
        return np.ndarray(tuple(tensor.shape), dtype, memoryview(memory))
