"""Backends that `peers.py` compares with and the package does not offer; importing this module registers them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from afformer.runtime.backends.base import Array, Backend
from afformer.runtime.backends.registry import Registration, register
from afformer.runtime.choices import Device
from afformer.spec import ModelSpec


def open_compiled(path: Path, *, device: Device, threads: int, input_hw: tuple[int, int] | None = None) -> Backend:
    """A checkpoint as the reference network under `torch.compile`."""
    import torch

    from afformer.runtime.backends.pytorch import PyTorchBackend

    backend = PyTorchBackend(path, device, threads, input_hw)
    backend._network = torch.compile(backend._network)  # type: ignore[assignment]
    backend.description = f"{backend.description}, torch.compile"
    return backend


def open_openvino_default(path: Path, *, device: Device, threads: int) -> Backend:
    """OpenVINO as it runs when nobody asks for a precision: bfloat16 where the CPU has it."""
    from afformer.runtime.backends.openvino import FloatPrecision, OpenVinoBackend

    return OpenVinoBackend(path, device=device, threads=threads, precision=FloatPrecision.BFLOAT16)


class OpenVinoIr(Backend):
    """A model in OpenVINO's own format, with its spec in a JSON file beside it."""

    def __init__(self, path: Path, *, device: Device, threads: int) -> None:
        import openvino as ov

        assert device is Device.CPU, "OpenVINO is compared on the CPU"
        settings = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": str(threads)}
        self.spec = ModelSpec.from_json(path.with_suffix(".json").read_text(), where=str(path))
        self.description = f"OpenVINO {ov.__version__.split('-', 1)[0]}, default precision"
        self._request = ov.Core().compile_model(str(path), "CPU", settings).create_infer_request()

    def _run(self, image: Array) -> Array:
        return np.asarray(self._request.infer({0: image}, share_inputs=True, share_outputs=True)[0])


register("torch-compile", Registration("peer_backends:open_compiled", any_size=True))
register("openvino-f32", Registration("afformer.runtime.backends.openvino:OpenVinoBackend"))
register("openvino-default", Registration("peer_backends:open_openvino_default"))
register("openvino-ir", Registration("peer_backends:OpenVinoIr"))
