"""ncnn, MNN and LiteRT as backends for `peers.py`; importing this module registers them.

A model is in the engine's own format, as `mobile_convert.py` writes it, with its spec in a JSON file beside it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from afformer.errors import BackendError
from afformer.runtime.backends.base import Array, Backend
from afformer.runtime.backends.registry import Registration, register
from afformer.runtime.choices import Device
from afformer.spec import ModelSpec

NCNN, MNN, LITERT = "ncnn", "mnn", "litert"


def spec_beside(path: Path) -> ModelSpec:
    """The spec of a converted model."""
    return ModelSpec.from_json(path.with_suffix(".json").read_text(), where=str(path))


class Ncnn(Backend):
    """ncnn in float32; the weights are in the `.bin` beside the `.param`."""

    def __init__(self, path: Path, *, device: Device, threads: int) -> None:
        import ncnn

        assert device is Device.CPU, "ncnn is compared on the CPU"
        self.spec = spec_beside(path)
        self.description = f"ncnn {ncnn.__version__}"
        self._mat, self._net = ncnn.Mat, ncnn.Net()
        self._net.opt.num_threads = _count(threads)
        for half in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(self._net.opt, f"use_{half}", False)
        if self._net.load_param(str(path)) or self._net.load_model(str(path.with_suffix(".bin"))):
            raise BackendError(f"{path.name}: ncnn does not load what pnnx wrote")

    def _run(self, image: Array) -> Array:
        with self._net.create_extractor() as extractor:
            extractor.input(self._net.input_names()[0], self._mat(image[0]))
            failed, out = extractor.extract(self._net.output_names()[0])
            if failed:
                raise BackendError(f"{self.description}: cannot run the model (status {failed})")
            return np.array(out)[None]


class Mnn(Backend):
    """MNN, in float32 or with what its quantizer wrote."""

    def __init__(self, path: Path, *, device: Device, threads: int) -> None:
        import MNN
        from MNN import expr, nn

        assert device is Device.CPU, "MNN is compared on the CPU"
        self.spec = spec_beside(path)
        self.description = f"MNN {MNN.version()}"
        self._expr: Any = expr
        config = {"backend": "CPU", "precision": "high", "numThread": _count(threads)}
        self._manager = nn.create_runtime_manager((config,))
        names = [self.spec.input_name or "image"], [self.spec.output_name or "logits"]
        self._net = nn.load_module_from_file(str(path), *names, runtime_manager=self._manager)

    def _run(self, image: Array) -> Array:
        placed = self._expr.const(image, list(image.shape), self._expr.NCHW)
        out = self._expr.convert(self._net.forward([placed])[0], self._expr.NCHW)
        return np.array(out.read())


class LiteRt(Backend):
    """LiteRT on XNNPACK, in float32 or with what its quantizer wrote."""

    def __init__(self, path: Path, *, device: Device, threads: int) -> None:
        import ai_edge_litert
        from ai_edge_litert.interpreter import Interpreter

        assert device is Device.CPU, "LiteRT is compared on the CPU"
        self.spec = spec_beside(path)
        self.description = f"LiteRT {ai_edge_litert.__version__}"
        self._net = Interpreter(str(path), num_threads=_count(threads))
        self._net.allocate_tensors()
        (self._input,), (self._output,) = self._net.get_input_details(), self._net.get_output_details()

    def _run(self, image: Array) -> Array:
        self._net.set_tensor(self._input["index"], _on_grid(image, self._input))
        self._net.invoke()
        return _off_grid(self._net.get_tensor(self._output["index"]), self._output)


def _count(threads: int) -> int:
    return threads or os.cpu_count() or 1


def _on_grid(values: Array, tensor: dict[str, Any]) -> Array:
    scale, zero = tensor["quantization"]
    if not scale:
        return values
    limits = np.iinfo(tensor["dtype"])
    return np.asarray(np.clip(np.rint(values / scale) + zero, limits.min, limits.max), tensor["dtype"])


def _off_grid(values: Array, tensor: dict[str, Any]) -> Array:
    scale, zero = tensor["quantization"]
    return np.asarray((values.astype(np.float32) - zero) * scale, np.float32) if scale else values


register(NCNN, Registration("mobile_backends:Ncnn"))
register(MNN, Registration("mobile_backends:Mnn"))
register(LITERT, Registration("mobile_backends:LiteRt"))
